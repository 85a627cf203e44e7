/**
 * Transfers while the login node is cut off, crashes or boots anew, and while the store is away: one good file, nothing left
 * behind, and no part that is done moves twice but for those that a crash of the host may have lost.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { rangeBytesOf } from '../../workers/transfers/script-mover.ts';
import { completeUpload, directivesOf, jobEnd, jobOf, putParts } from '../system/transfer-fixture.ts';
import { killUserProcesses } from '../user-processes.ts';
import type { StoreRequest } from './store-fault-proxy.ts';
import {
  type Begun,
  type MoverName,
  movers,
  openTransferFaultGround,
  partSizeBytes,
  type TransferFaultGround,
} from './transfer-fault-ground.ts';

/** Two of the 64 MiB ranges that a worker fetches, more that a mover on the cluster does; three of the parts that either sends. */
const contents = { up: randomBytes(64 * 2 ** 20 + 7), down: randomBytes(2 * partSizeBytes + 7) };
type Way = keyof typeof contents;
/** The last part, as `partOf` names it, and how many are before it. */
const lastPart = { up: 64 * 2 ** 20, down: 2 };
const partsBefore = (way: Way, mover: MoverName): number => {
  if (way === 'down') return 2;
  return mover === 'stream' ? 1 : (64 * 2 ** 20) / rangeBytesOf(contents.up.length);
};
/** More than a supervisor may be silent. */
const silenceMs = 61_000;
let lab: Lab;
let ground: TransferFaultGround;
let redis: Redis;
/** Requests for parts, by `<object> <part>`. */
const asked = new Map<string, number>();

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 's3', 'oidc'], people: ['alice'], handlesSignals: false });
  redis = new Redis(lab.redis.url);
  const { host, port, hostKey } = await lab.sshd.startAnother({ name: 'data-transfer', hostKey: 'own' });
  const node = { host, port, host_keys: { pinned: [hostKey] } };
  const systems = { 'by-node': { node }, 'stream-by-node': { mover: 'stream', node } };
  ground = await openTransferFaultGround(lab, { systems });
  ground.proxy.add((request) => {
    const part = partOf(request);
    const name = `${request.path.split('/').at(-1)} ${part}`;
    if (part !== null) asked.set(name, (asked.get(name) ?? 0) + 1);
    return undefined;
  });
}, 120_000);

afterAll(async () => {
  redis?.disconnect();
  await ground?.stop();
  await lab?.stop();
}, 60_000);

/** Its number from 0, or the first byte of a range; null: no part. */
function partOf({ method, query, rangeStart }: StoreRequest): number | null {
  if (method === 'PUT' && query.has('partNumber')) return Number(query.get('partNumber')) - 1;
  if (method === 'GET' && query.has('X-Amz-Signature')) return rangeStart;
  return null;
}

interface Held {
  name: string;
  way: Way;
  mover: MoverName;
  path: string;
  begun: Begun;
  release: () => void;
}

/** Begins a transfer that comes to its last part, which is held; those before it are done. */
async function holdAtLastPart(name: string, way: Way, mover: MoverName): Promise<Held> {
  const isLast = (request: StoreRequest) => partOf(request) === lastPart[way];
  const hold = ground.proxy.holdFirst((request) => request.path.endsWith(`/${name}`) && isLast(request));
  const path = ground.put(ground.at(name), way === 'up' ? 'old' : contents.down);
  const begun = way === 'up' ? await ground.upload(mover, path, contents.up) : await ground.download(mover, path);
  await hold.reached;
  const done = join(workOf(begun), 'done');
  const doneParts = async (): Promise<number> => {
    if (mover === 'stream') return ((await journalOf(begun)).streamed ?? []).length;
    return existsSync(done) ? readFileSync(done, 'utf8').split('\n').length - 1 : 0;
  };
  await vi.waitFor(async () => expect(await doneParts()).toBe(partsBefore(way, mover)), { timeout: 60_000 });
  return { name, way, mover, path, begun, release: hold.release };
}

function workOf({ id }: Begun): string {
  return join(ground.owner.home, `.goldcrest-transfer-${id}`);
}

function keyOf({ id }: Begun): string {
  return `${ground.broker.keyPrefix}:task:${id}`;
}

async function journalOf(begun: Begun): Promise<{ streamed?: unknown[] }> {
  return JSON.parse((await redis.hget(keyOf(begun), 'journal')) ?? '{}') as { streamed?: unknown[] };
}

/** The mark of who supervises the work is one of another boot, and the last sign of life was seen a minute ago. */
async function bootAnew({ begun }: Held): Promise<void> {
  const claim = join(workOf(begun), 'claim');
  const [pid, start] = readlinkSync(claim).split('.');
  unlinkSync(claim);
  symlinkSync(`${pid}.${start}.${randomUUID()}`, claim);
  // Until it is laid by, a worker may note something.
  const isLaidBy = async () => expect(await redis.hget(keyOf(begun), 'notBeforeAt')).toMatch(/^\d+$/);
  await vi.waitFor(isLaidBy, { timeout: 60_000 });
  // The first one is a second after its begin.
  const beats = join(workOf(begun), 'beat');
  const beat = existsSync(beats) ? Number(readFileSync(beats, 'utf8')) : 0;
  const aged = { ...(await journalOf(begun)), beat, beatAt: Date.now() - silenceMs };
  await redis.hset(keyOf(begun), 'journal', JSON.stringify(aged));
}

it.each(['is cut off', 'crashes', 'boots anew'])(
  'a login node that %s in the middle of transfers: each ends well, up and down by every mover',
  async (what) => {
    const ways = movers.flatMap((mover) => (['up', 'down'] as const).map((way) => [mover, way] as const));
    const held = await Promise.all(ways.map(([mover, way]) => holdAtLastPart(`${what} ${way} ${mover}`, way, mover)));
    await lab.sshd.kill();
    if (what !== 'is cut off') {
      expect(killUserProcesses(lab, ground.owner, () => true)).toBeGreaterThan(0);
      // What was begun while the others were killed.
      await vi.waitFor(() => expect(killUserProcesses(lab, ground.owner, () => true)).toBe(0), { timeout: 30_000 });
    }
    for (const { release } of held) release();
    if (what === 'boots anew') await Promise.all(held.map(bootAnew));
    await lab.sshd.start();
    const ends = held.map(async ({ name, way, path, begun }) => {
      const isWhole =
        way === 'up' ? ground.expectUploaded(begun, path, contents.up) : ground.expectDownloaded(begun, contents.down);
      await isWhole.catch((error: unknown) => expect.unreachable(`${name}: ${error}`));
    });
    await Promise.all(ends);
    if (what === 'boots anew') return;
    for (const { name, way, mover } of held) {
      const parts = [...asked].filter(([part]) => part.startsWith(`${name} `) && part !== `${name} ${lastPart[way]}`);
      expect([name, parts.map(([, times]) => times)]).toEqual([name, Array(partsBefore(way, mover)).fill(1)]);
    }
  },
  240_000,
);

it('an upload that waits outlives the absence of the store', async () => {
  const path = ground.at('patient');
  const { answer } = await ground.beginUpload('command', path, 3);
  await lab.s3.stop();
  const transferDirectives = { transferMethod: 's3', fileSize: 3 };
  const wish = { path: ground.at('refused'), transferDirectives };
  const refused = await ground.client.post('/filesystem/command/transfer/upload', wish);
  expect([refused.status, refused.body.code]).toEqual([503, 'StagingUnavailable']);
  await lab.s3.start();
  await completeUpload(directivesOf(answer), await putParts(directivesOf(answer), Buffer.from('abc')));
  expect(await jobEnd(ground.client, jobOf(answer), 120_000)).toMatchObject({ state: 'COMPLETED' });
  expect([readFileSync(path, 'utf8'), existsSync(wish.path)]).toEqual(['abc', false]);
}, 240_000);

it('an upload whose login node is away when its client has completed it is fetched when that is back', async () => {
  const path = ground.put(ground.at('met nobody'), 'old');
  const begun = await ground.beginUpload('command', path, 3);
  await lab.sshd.stop();
  try {
    await ground.sendParts(begun, Buffer.from('abc'));
    // A worker has met with it, and lays the task by.
    const laidBy = ['active', expect.stringMatching(/^\d+$/)];
    const seen = () => redis.hmget(keyOf(begun), 'state', 'notBeforeAt');
    await vi.waitFor(async () => expect(await seen()).toEqual(laidBy), { timeout: 60_000 });
  } finally {
    await lab.sshd.start();
  }
  await ground.expectUploaded(begun, path, Buffer.from('abc'));
}, 240_000);

it.each(['by-node', 'stream-by-node'])(
  'a system with a data-transfer node moves its files there, whatever becomes of its login node: %s',
  async (system) => {
    const path = ground.put(ground.at(system), 'old');
    await lab.sshd.stop();
    try {
      await ground.expectUploaded(await ground.upload(system, path, contents.down), path, contents.down);
      await ground.expectDownloaded(await ground.download(system, path), contents.down);
      const wish = { path, targetPath: `${path} copied` };
      const copied = await ground.client.post(`/filesystem/${system}/transfer/cp`, wish);
      expect(await jobEnd(ground.client, jobOf(copied))).toMatchObject({ state: 'COMPLETED', error: '' });
      expect(readFileSync(wish.targetPath).equals(contents.down)).toBe(true);
      // Which host of the system it was is not what a search for its records asks.
      const { body } = await ground.client.get(`/audit?system=${system}&kind=command`);
      expect((body.records as unknown[]).length).toBeGreaterThan(0);
    } finally {
      await lab.sshd.start();
    }
  },
  240_000,
);
