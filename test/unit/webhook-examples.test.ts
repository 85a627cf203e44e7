/** The receivers of docs/webhooks.md, run as they stand there against messages that are signed as ours are. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { signedRequest } from '../../shared/webhooks/message.ts';
import { newSigningKey } from '../../shared/webhooks/signing.ts';

const page = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');
const secret = newSigningKey('v1');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('the server has no port');
  return address.port;
}

function request(keys: string[], now = Date.now()) {
  const message = { type: 'task.completed', timestamp: new Date(now).toISOString(), data: { taskId: 't1' } };
  return signedRequest(message, { messageId: 'msg_1', format: 'standard', keys, source: '/', now });
}

it.each([
  ['ts', [process.execPath, '--import', 'tsx']],
  ['python', ['python3']],
] as const)(
  'the receiver in %s takes what we sign, and nothing that is forged or old',
  async (language, command) => {
    const code = new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page)?.[1] ?? '';
    const folder = mkdtempSync(join(tmpdir(), 'gc-receiver-'));
    const file = join(folder, language === 'ts' ? 'receiver.mts' : 'receiver.py');
    writeFileSync(file, code);
    const port = await freePort();
    const [program, ...args] = command;
    const env = { ...process.env, WEBHOOK_SECRET: secret, PORT: String(port) };
    const child = spawn(program, [...args, file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const post = async ({ headers, body }: ReturnType<typeof request>) =>
      (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })).status;
    try {
      expect((await lines.next()).value).toBe('listening');
      expect(await post(request([newSigningKey('v1'), secret]))).toBe(204);
      expect((await lines.next()).value).toBe('task.completed t1');
      expect(await post(request([newSigningKey('v1')]))).toBe(400);
      expect(await post(request([secret], Date.now() - 600_000))).toBe(400);
      expect(await post({ ...request([secret]), body: '{}' })).toBe(400);
    } finally {
      child.kill();
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);
