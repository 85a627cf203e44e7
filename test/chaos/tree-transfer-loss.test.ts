/** Copies of trees between systems while workers are killed, the store hangs and the source changes: all of it or nothing. */
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { type Broker, type Client, clientOf, startBroker, taskEnd } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { watchLeftovers } from '../system/transfer-fixture.ts';
import { makeTree, seenTree, stagedOf, storeClient } from '../system/tree-fixture.ts';
import { userProcesses } from '../user-processes.ts';
import { type StoreFaultProxy, type StoreRequest, startStoreFaultProxy } from './store-fault-proxy.ts';

const endTimeoutMs = 120_000;
let lab: Lab;
let proxy: StoreFaultProxy;
let broker: Broker;
let client: Client;
let owner: LabUser;
let own: OwnDirectory;
let leftovers: () => Promise<string[]>;
let store: S3Client;
let source: string;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 's3', 'oidc'], people: ['alice'], handlesSignals: false });
  const otherSystems = [{ name: 'other', sshd: lab.sshd }];
  proxy = await startStoreFaultProxy(lab.s3.endpoint);
  const staging = { private_url: proxy.url };
  broker = await startBroker(lab, { scheduler: 'process', workers: 1, s3: lab.s3, staging, otherSystems });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  owner = userNamed(lab.users, 'alice');
  own = homeDirectory(owner);
  leftovers = watchLeftovers(client, lab, owner, own.path);
  store = storeClient(lab.s3);
  const files = Array.from({ length: 12 }, (_, n) => [`d${n % 3}/f${n}`, randomBytes(8 * 2 ** 20)] as const);
  source = makeTree(join(own.path, 'source'), owner, Object.fromEntries(files));
}, 120_000);

afterEach(async () => {
  lab.s3.resume();
  await vi.waitFor(async () => expect(await leftovers()).toEqual([]), { timeout: 30_000 });
});

afterAll(async () => {
  lab?.s3.resume();
  store?.destroy();
  own?.remove();
  await broker?.stop();
  await proxy?.stop();
  await lab?.stop();
}, 60_000);

async function startCopy(name: string): Promise<{ id: string; target: string }> {
  const target = join(own.path, name);
  const input = { path: source, targetSystem: 'other', targetPath: target };
  const { status, body, text } = await client.post('/tasks', { operation: 'transfer.copy', system: 'lab', input });
  expect(status, text).toBe(202);
  return { id: body.id, target };
}

/**
 * For the copy that is begun next: what is given resolves when bytes are on their way in that direction, and stay there, since
 * the store hangs until it is resumed.
 */
function hangStoreWhile(direction: 'push' | 'pull'): () => Promise<void> {
  const isOnItsWay = ({ method, query }: StoreRequest) =>
    direction === 'push'
      ? method === 'PUT' && query.has('partNumber')
      : method === 'GET' && query.has('X-Amz-Signature');
  const { reached, release } = proxy.holdFirst(isOnItsWay);
  return async () => {
    await reached;
    lab.s3.pause();
    release();
  };
}

it('a worker that is killed while bytes move is replaced, and the copy is whole', async () => {
  const storeHangs = hangStoreWhile('pull');
  const { id, target } = await startCopy('killed');
  await storeHangs();
  expect(existsSync(target)).toBe(false);
  await Promise.all(broker.workers.map((worker) => worker.kill()));
  await broker.addWorker();
  lab.s3.resume();
  const end = await taskEnd(client, `/tasks/${id}`, endTimeoutMs);
  expect(end, JSON.stringify(end.error)).toMatchObject({ state: 'completed', result: { files: 12, failuresCount: 0 } });
  expect(seenTree(target)).toEqual(seenTree(source));
  expect(await stagedOf(store, owner.username, id)).toEqual([]);
}, 240_000);

it.each(['push', 'pull'] as const)(
  'a copy that is canceled during a %s leaves nothing anywhere',
  async (direction) => {
    const storeHangs = hangStoreWhile(direction);
    const { id, target } = await startCopy(`canceled ${direction}`);
    await storeHangs();
    expect((await client.delete(`/tasks/${id}`)).status).toBeLessThan(300);
    await vi.waitFor(
      () => expect(userProcesses(lab, owner).filter(({ line }) => line.startsWith('curl '))).toEqual([]),
      {
        timeout: 30_000,
      },
    );
    lab.s3.resume();
    expect(await taskEnd(client, `/tasks/${id}`, endTimeoutMs)).toMatchObject({ state: 'canceled' });
    expect([existsSync(target), await stagedOf(store, owner.username, id)]).toEqual([false, []]);
  },
  240_000,
);

it('a file that changes while it is packed fails the copy, and nothing appears', async () => {
  const storeHangs = hangStoreWhile('push');
  const { id, target } = await startCopy('changed');
  await storeHangs();
  for (let n = 0; n < 12; n += 1) writeFileSync(join(source, `d${n % 3}/f${n}`), 'more', { flag: 'a' });
  lab.s3.resume();
  const end = await taskEnd(client, `/tasks/${id}`, endTimeoutMs);
  // A file that was read before it changed went as it was; what is being read fails.
  expect([end.state, end.error?.message]).toEqual([
    'failed',
    expect.stringMatching(/changed while it was read|grew while/),
  ]);
  expect([existsSync(target), await stagedOf(store, owner.username, id)]).toEqual([false, []]);
}, 240_000);
