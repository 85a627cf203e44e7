/**
 * Workers that are killed at each step of a transfer at which they wait for the store, and addresses that run out on
 * their way: another worker goes on, the bytes are right, and nothing is left of what the lost one had begun.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { StoreRequest } from './store-fault-proxy.ts';
import {
  type MoverName,
  movers,
  openTransferFaultGround,
  partSizeBytes,
  type TransferFaultGround,
} from './transfer-fault-ground.ts';

/** The life of an address: longer than a client needs to send a small file on a loaded machine. */
const ttlSeconds = 15;
const content = randomBytes(partSizeBytes + 7);
let ground: TransferFaultGround;
/** Where addresses run out soon. */
let hasty: TransferFaultGround;

beforeAll(async () => {
  [ground, hasty] = await Promise.all([
    // All stand still until the last of them has come to its step.
    openTransferFaultGround(inject('lab'), { hold: '240s', hasSlurm: true }),
    openTransferFaultGround(inject('lab'), { ttlSeconds, hasSlurm: true }),
  ]);
}, 120_000);

afterAll(() => Promise.all([ground?.stop(), hasty?.stop()]));

interface Step {
  way: 'up' | 'down';
  isIt: (request: StoreRequest) => boolean;
}

/** The request at which a worker, or the mover, is when the worker is killed. */
const steps: Record<string, Step> = {
  'begins an upload': { way: 'up', isIt: ({ method, query }) => method === 'POST' && query.has('uploads') },
  'looks for the client’s parts': { way: 'up', isIt: ({ method }) => method === 'HEAD' },
  'has bytes fetched': { way: 'up', isIt: ({ method }) => method === 'GET' },
  'removes what was staged': {
    way: 'up',
    isIt: ({ method, query }) => method === 'DELETE' && !query.has('uploadId'),
  },
  'begins a download': { way: 'down', isIt: ({ method, query }) => method === 'POST' && query.has('uploads') },
  'has bytes sent': { way: 'down', isIt: ({ method }) => method === 'PUT' },
  'completes a download': { way: 'down', isIt: ({ method, query }) => method === 'POST' && query.has('uploadId') },
};

it('a worker that is killed while it … is followed by another, at every step of both ways', async () => {
  const each = Object.entries(steps).flatMap(([name, step]) =>
    movers.map((mover) => ({ ...step, step: `${name} by ${mover}`, mover })),
  );
  const held = each.map(({ step, mover, way, isIt }) => {
    const hold = ground.proxy.holdFirst((request) => request.path.endsWith(`/${step}`) && isIt(request));
    const path = ground.at(step);
    if (way === 'down') ground.put(path, content);
    const done = way === 'up' ? whenUploaded(mover, path) : whenDownloaded(mover, path);
    done.catch(() => undefined); // told below
    return { step, hold, done };
  });
  await Promise.all(held.map(({ hold }) => hold.reached));
  await Promise.all(ground.broker.workers.map((worker) => worker.kill()));
  for (const { hold } of held) hold.release();
  await ground.broker.addWorker();
  const ends = await Promise.allSettled(held.map(({ done }) => done));
  const failures = ends.flatMap((end, at) => (end.status === 'rejected' ? [`${held[at]?.step}: ${end.reason}`] : []));
  expect(failures).toEqual([]);
});

async function whenUploaded(mover: MoverName, path: string): Promise<void> {
  const begun = await ground.upload(mover, path, content);
  await ground.expectUploaded(begun, path, content);
}

async function whenDownloaded(mover: MoverName, path: string): Promise<void> {
  await ground.expectDownloaded(await ground.download(mover, path), content);
}

it.concurrent.each(movers)(
  'an address that runs out before it is used is followed by a fresh one, by %s',
  async (mover) => {
    const name = `late ${mover}`;
    let late = 0;
    hasty.proxy.add(({ method, path, query, time }) => {
      if (!path.endsWith(`/${name}`) || method !== 'GET' || time > 1) return undefined;
      late += 1;
      return { kind: 'hold', until: runningOut(query) };
    });
    const path = hasty.put(hasty.at(name), 'old');
    await hasty.expectUploaded(await hasty.upload(mover, path, content), path, content);
    expect(late).toBeGreaterThan(0);
  },
);

/** Resolves when the address, as it says itself, is of no more use. */
function runningOut(query: URLSearchParams): Promise<void> {
  const [, day, time] = /^(\d{8})T(\d{6})Z$/.exec(query.get('X-Amz-Date') ?? '') ?? [];
  const signedAt = Date.parse(`${day}T${time}Z`.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  const endsAt = signedAt + (Number(query.get('X-Amz-Expires')) + 1) * 1_000;
  return new Promise((resolve) => setTimeout(resolve, endsAt - Date.now()));
}
