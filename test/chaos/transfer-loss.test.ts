/** Workers that are killed while bytes pass: nobody takes a part for the whole, and nothing is left on the cluster. */
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it, vi } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import { type Broker, pathQuery, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';

const lab = inject('lab');
const sizeBytes = 64 * 2 ** 20;

let broker: Broker;
let token: string;
let own: OwnDirectory;

beforeAll(async () => {
  own = homeDirectory(userNamed(lab.users, 'alice'));
  token = await requestToken(lab.oidc, 'alice');
});

afterAll(() => own?.remove());

beforeEach(async () => {
  broker = await startBroker(lab, { scheduler: 'process', dataOperation: { max_ops_file_size: sizeBytes } });
}, 60_000);

afterEach(() => broker?.stop());

function send(
  method: string,
  address: string,
  headers: Record<string, string> = {},
): [ClientRequest, Promise<IncomingMessage>] {
  const sent = httpRequest(`${broker.url}${address}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const answer = new Promise<IncomingMessage>((resolve, reject) =>
    sent.once('response', resolve).once('error', reject),
  );
  return [sent, answer];
}

async function killTheWorker(): Promise<void> {
  const [worker] = broker.workers;
  await worker?.kill();
}

it('a download whose worker is killed breaks off, and is never short without a word', async () => {
  const path = join(own.path, 'large');
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  own.giveAway();
  const [sent, answering] = send('GET', `/filesystem/lab/ops/download?${pathQuery(path)}`);
  sent.end();
  const answer = await answering;
  expect([answer.statusCode, answer.headers['content-length']]).toEqual([200, String(sizeBytes)]);
  await killTheWorker(); // the answer is held back until it is read
  let received = 0;
  const read = async (): Promise<void> => {
    for await (const chunk of answer) received += (chunk as Buffer).length;
  };
  await expect(read()).rejects.toThrow(/aborted/);
  expect(received).toBeLessThan(sizeBytes);
});

it('an upload whose worker is killed is told so at once, and the next worker removes what it left', async () => {
  writeFileSync(join(own.path, 'target'), 'old');
  own.giveAway();
  const [sent, answering] = send('POST', `/filesystem/lab/ops/upload?${pathQuery(own.path)}`, {
    'content-type': 'multipart/form-data; boundary=b',
  });
  sent.write('--b\r\nContent-Disposition: form-data; name="file"; filename="target"\r\n\r\nthe beginning');
  const parts = () => readdirSync(own.path).filter((name) => name.startsWith('.target.part-'));
  await vi.waitFor(() => expect(parts()).toHaveLength(1), { timeout: 30_000, interval: 20 });
  await broker.addWorker();
  await killTheWorker();
  sent.end(' and the end\r\n--b--\r\n');
  const answer = await answering;
  const text = (await answer.toArray()).join('');
  expect([answer.statusCode, JSON.parse(text)]).toEqual([500, expect.objectContaining({ code: 'WorkerLost' })]);
  await vi.waitFor(() => expect(parts()).toEqual([]), { timeout: 60_000, interval: 100 });
  expect(readFileSync(join(own.path, 'target'), 'utf8')).toBe('old');
});
