/**
 * Faults on the way between the cluster and the store and at both ends of it, each over every mover: the right bytes
 * arrive, or a clear failure leaves everything as it was. Never a wrong byte in a file.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { taskEnd } from '../system/broker-fixture.ts';
import { addressesOf, archiveOf, sendArchive } from '../system/tree-fixture.ts';
import { mountSmall, mountWithQuota } from './small-file-system.ts';
import type { Fault, StoreRequest } from './store-fault-proxy.ts';
import {
  digest,
  type MoverName,
  movers,
  openTransferFaultGround,
  partSizeBytes,
  type TransferFaultGround,
} from './transfer-fault-ground.ts';

const content = randomBytes(2 * partSizeBytes + 7);
/** More than the 64 MiB that a mover fetches in one range, so that there are two. */
const large = randomBytes(64 * 2 ** 20 + 7);
const old = Buffer.from('what was there before');
let ground: TransferFaultGround;

beforeAll(async () => {
  ground = await openTransferFaultGround(inject('lab'));
}, 60_000);

afterAll(() => ground?.stop());

/** A part of a file on its way, in either direction. */
function isPart({ method, query }: StoreRequest): boolean {
  return (method === 'GET' && query.size > 0 && query.has('X-Amz-Signature')) || query.has('partNumber');
}

/** Where a part is cut: before its first byte, before its last one, behind it. */
function cutOf({ query, rangeStart }: StoreRequest): number {
  const index = query.has('partNumber') ? Number(query.get('partNumber')) - 1 : rangeStart === 0 ? 1 : 0;
  return [0, partSizeBytes - 1, 7][index] ?? 0;
}

const faults: Record<string, (request: StoreRequest) => Fault | undefined> = {
  'a byte that flips in each part': (request) =>
    isPart(request) && request.time === 1 ? { kind: 'flip', atByte: 5 } : undefined,
  'a connection that is cut at the boundaries of parts': (request) =>
    isPart(request) && request.time === 1 ? { kind: 'cut', afterBytes: cutOf(request) } : undefined,
  // A removal has nobody who comes back to it.
  'a store that answers 503 to everything at first': ({ method, time }) =>
    time <= (method === 'DELETE' ? 4 : 1) ? { kind: 'answer', status: 503, code: 'SlowDown' } : undefined,
};

const overMovers = (names: readonly string[]): (readonly [string, MoverName])[] =>
  names.flatMap((name) => movers.map((mover) => [name, mover] as const));

/** The fault meets the requests about files of that name, and no others. */
function meet(name: string, fault: (request: StoreRequest) => Fault | undefined): () => number {
  let met = 0;
  ground.proxy.add((request) => {
    const found = request.path.endsWith(`/${name}`) ? fault(request) : undefined;
    if (found !== undefined) met += 1;
    return found;
  });
  return () => met;
}

describe('the right bytes arrive despite', () => {
  it.concurrent.each(overMovers(Object.keys(faults)))('%s: up, by %s', async (what, mover) => {
    const name = `up ${what} ${mover}`;
    const sent = what.includes('boundaries') ? large : content;
    const met = meet(name, faults[what] ?? (() => undefined));
    const path = ground.put(ground.at(name), old);
    const begun = await ground.upload(mover, path, sent);
    await ground.expectUploaded(begun, path, sent);
    expect(met()).toBeGreaterThan(0);
  });

  it.concurrent.each(overMovers(Object.keys(faults)))('%s: down, by %s', async (what, mover) => {
    const name = `down ${what} ${mover}`;
    const met = meet(name, faults[what] ?? (() => undefined));
    const begun = await ground.download(mover, ground.put(ground.at(name), content));
    await ground.expectDownloaded(begun, content);
    expect(met()).toBeGreaterThan(0);
  });

  it.concurrent.each(overMovers([`-n "it's" $(id) ü\n`]))('a name like %j, both ways, by %s', async (odd, mover) => {
    const path = ground.at(`${odd}${mover}`);
    await ground.expectUploaded(await ground.upload(mover, path, content), path, content);
    await ground.expectDownloaded(await ground.download(mover, path), content);
  });
});

describe('a tree, of whose archive the client has said no digest,', () => {
  const text = 'y'.repeat(7 * 2 ** 20);
  /** Of two parts; the byte that flips is one of the file's. */
  const archive = archiveOf([{ name: 'x', content: text }]);
  const flip = { kind: 'flip', atByte: 5_000 } as const;

  it.concurrent.each(movers)(
    'comes whole and goes whole on a system whose mover is %s, despite a byte that flips',
    async (mover) => {
      const name = `tree ${mover}`;
      const met = meet(`${name}.tar`, ({ time, ...request }) =>
        isPart({ time, ...request }) && time === 1 ? flip : undefined,
      );
      const target = ground.at(name);
      const up = await taskEnd(ground.client, await sendArchive(ground.client, { path: target }, archive, mover));
      expect(up, JSON.stringify(up.error)).toMatchObject({
        state: 'completed',
        result: { files: 1, failuresCount: 0 },
      });
      expect(readFileSync(join(target, 'x'), 'utf8') === text).toBe(true);
      expect(met()).toBeGreaterThan(0);
      const input = { operation: 'transfer.download-tree', system: mover, input: { path: target } };
      const { body } = await ground.client.post('/tasks', input);
      const down = await taskEnd(ground.client, `/tasks/${body.id}`);
      expect(down.state, JSON.stringify(down.error)).toBe('completed');
      const { downloadUrl } = await addressesOf(ground.client, `/tasks/${body.id}`);
      const got = Buffer.from(await (await fetch(String(downloadUrl))).arrayBuffer());
      expect(down.result).toMatchObject({ bytes: got.length, sha256: digest(got) });
      expect(execFileSync('tar', ['-xOf', '-', 'x'], { input: got, maxBuffer: 2 ** 24 }).toString() === text).toBe(
        true,
      );
    },
  );

  it('is not put in place where a byte flips every time', async () => {
    meet('tree always.tar', (request) => (request.method === 'GET' && isPart(request) ? flip : undefined));
    const target = ground.at('tree always');
    const end = await taskEnd(ground.client, await sendArchive(ground.client, { path: target }, archive, 'command'));
    expect([end.state, end.error?.message]).toEqual([
      'failed',
      expect.stringMatching(/the archive is not what the store has/),
    ]);
    expect(existsSync(target)).toBe(false);
  });
});

describe('a transfer that is canceled in the middle', () => {
  it.concurrent.each(overMovers(['up', 'down']))(
    'leaves nothing, and the file as it was: %s, by %s',
    async (way, mover) => {
      const name = `canceled ${way} ${mover}`;
      const file = { path: ground.at(name), content: way === 'up' ? old : content };
      ground.put(file.path, file.content);
      const first = ground.proxy.holdFirst((request) => request.path.endsWith(`/${name}`) && isPart(request));
      const begun =
        way === 'up' ? await ground.upload(mover, file.path, content) : await ground.download(mover, file.path);
      await first.reached;
      expect(ground.leftovers(begun).length).toBeGreaterThan(0);
      expect((await ground.client.delete(`/tasks/${begun.id}`)).status).toBeLessThan(300);
      await ground.expectCanceled(begun, file);
      first.release();
    },
  );
});

describe('a clear failure, and the old file, where', () => {
  it.concurrent.each(movers)('a byte flips every time, by %s', async (mover) => {
    const name = `always ${mover}`;
    meet(name, (request) => (isPart(request) ? { kind: 'flip', atByte: 5 } : undefined));
    const path = ground.put(ground.at(name), old);
    const begun = await ground.upload(mover, path, content);
    await ground.expectFailed(begun, /the file is not what the store has/, { path, content: old });
  });

  const changes: Record<string, (path: string) => void> = {
    grows: (path) => appendFileSync(path, 'x'),
    shrinks: (path) => truncateSync(path, partSizeBytes),
    'is written over': (path) => writeFileSync(path, randomBytes(content.length)),
    'is replaced': (path) => {
      writeFileSync(`${path}.new`, randomBytes(content.length));
      renameSync(`${path}.new`, path);
    },
  };
  it.concurrent.each(overMovers(Object.keys(changes)))('the source %s while it is read, by %s', async (what, mover) => {
    const name = `source ${what} ${mover}`;
    const path = ground.put(ground.at(name), content);
    const first = ground.proxy.holdFirst((request) => request.path.endsWith(`/${name}`) && isPart(request));
    const begun = await ground.download(mover, path);
    await first.reached;
    changes[what]?.(path);
    first.release();
    await ground.expectFailed(begun, /the file changed while it was read/i, null);
  });

  const room = 24 * 2 ** 20;
  const fileSystems: Record<string, { make: typeof mountSmall; reason: RegExp }> = {
    'the disk': { make: mountSmall, reason: /No space left on device|the disk is full/ },
    'the quota': { make: mountWithQuota, reason: /Disk quota exceeded/ },
  };
  it.concurrent.each(overMovers(Object.keys(fileSystems)))(
    '%s is full before all has come, by %s',
    async (what, mover) => {
      const { make, reason } = fileSystems[what] ?? expect.unreachable();
      const name = `full ${what} ${mover}`;
      const mounted = await make(ground.at(`mount ${name}`), room, ground.owner);
      try {
        const path = ground.put(join(mounted.path, name), old);
        const first = ground.proxy.holdFirst((request) => request.path.endsWith(`/${name}`) && isPart(request));
        const begun = await ground.upload(mover, path, content);
        await first.reached;
        const ballast = join(mounted.path, 'ballast');
        writeFileSync(ballast, randomBytes(room - partSizeBytes));
        first.release();
        await ground.expectFailed(begun, reason, { path, content: old });
      } finally {
        await mounted.remove();
      }
    },
  );
});
