/** The TypeScript example of docs/examples: what it sends arrives, also when it is killed and run again. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { type Broker, startBroker } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

const lab = inject('lab');
const example = ['--import', 'tsx', 'docs/examples/transfer-file.ts'];
const content = randomBytes(40 * 2 ** 20 + 7);
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
let broker: Broker;
let own: OwnDirectory;
let env: Record<string, string>;

beforeAll(async () => {
  broker = await startBroker(lab, {
    scheduler: 'process',
    s3: lab.s3,
    staging: { multipart: { max_part_size: 5 * 2 ** 20 } },
  });
  own = homeDirectory(userNamed(lab.users, 'alice'));
  env = { GOLDCREST_URL: broker.url, GOLDCREST_TOKEN: await requestToken(lab.oidc, 'alice') };
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

const run = (...words: string[]) => runCommand(process.execPath, [...example, ...words], { env, timeoutMs: 90_000 });

it('goes on after it was killed, both ways, and checks what arrived', async () => {
  const local = join(own.path, 'local');
  writeFileSync(local, content);
  const remote = join(own.path, 'remote');
  await killedAfterOnePart(local, remote);
  const before = [...readFileSync(`${local}.transfer`, 'utf8').matchAll(/^\[(\d+),/gm)].map(([, number]) => number);
  expect(before.length).toBeGreaterThan(0);
  const { stdout } = await run('upload', local, 'lab', remote);
  expect(digest(readFileSync(remote))).toBe(digest(content));
  for (const number of before) expect(stdout).not.toContain(`part ${number} of`);
  expect(stdout).toContain(digest(content));
  expect(existsSync(`${local}.transfer`)).toBe(false);

  const copy = join(own.path, 'copy');
  copyFileSync(local, copy);
  truncateSync(copy, 12_345_678); // what an earlier run had got
  await run('download', copy, 'lab', remote);
  expect(digest(readFileSync(copy))).toBe(digest(content));
});

/** Ends it as soon as it tells of a part. */
function killedAfterOnePart(local: string, remote: string): Promise<void> {
  const child = spawn(process.execPath, [...example, 'upload', local, 'lab', remote], {
    env: { ...process.env, ...env },
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  return new Promise((resolve, reject) => {
    child.stdout.once('data', () => child.kill('SIGKILL'));
    child.once('exit', (_code, signal) => (signal === 'SIGKILL' ? resolve() : reject(new Error(`it ended: ${said}`))));
  });
}
