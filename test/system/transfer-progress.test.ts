/** Progress while bytes move over a link that is slow: in bytes and with a rate, on the stream of events and to who polls. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import {
  type MoverName,
  movers,
  openTransferFaultGround,
  partSizeBytes,
  type TransferFaultGround,
} from '../chaos/transfer-fault-ground.ts';
import { eventually } from '../eventually.ts';
import { readEvents } from '../integration/sse-client.ts';
import { jobOf } from './transfer-fixture.ts';

/** What a connection carries: a transfer of five parts, one after another, lasts some seconds, whichever mover. */
const bytesPerSecond = 3 * 2 ** 20;
const content = randomBytes(5 * partSizeBytes);
let ground: TransferFaultGround;
let token: string;

beforeAll(async () => {
  const lab = inject('lab');
  ground = await openTransferFaultGround(lab, { bytesPerSecond, partsAtOnce: 1 });
  token = await requestToken(lab.oidc, 'alice');
}, 60_000);

afterAll(() => ground?.stop());

interface Told {
  done: number;
  total: number | null;
  unit: string;
  bytesPerSecond?: number;
}

it('an upload holds no worker until its client has completed it, and is fetched at the next look, at which it is found', async () => {
  const name = 'waited for';
  let looks = 0;
  ground.proxy.add(({ method, path }) => {
    if (method === 'HEAD' && path.endsWith(`/${name}`)) looks += 1;
    return undefined;
  });
  const begun = await ground.beginUpload('command', ground.at(name), 3);
  await vi.waitFor(() => expect(looks).toBeGreaterThan(1), { timeout: 30_000 });
  // During a look it is a worker's.
  const waiting = { state: 'PENDING', stateReason: 'waiting for the client' };
  await eventually(async () => {
    const job = await ground.client.get(`/compute/command/jobs/${jobOf(begun.answer).jobId}`);
    expect(job.body.jobs[0]?.status).toMatchObject(waiting);
  });
  await ground.sendParts(begun, Buffer.from('abc'));
  const before = looks;
  await ground.expectUploaded(begun, ground.at(name), Buffer.from('abc'));
  // How far looks are apart: test/unit/client-wait.test.ts.
  expect(looks - before).toBeLessThanOrEqual(1);
});

const ways: (readonly [MoverName, 'up' | 'down'])[] = movers.flatMap((mover) => [
  [mover, 'up'],
  [mover, 'down'],
]);

it.concurrent.each(ways)('by %s, %s: grows while the transfer runs, and both are told the same', async (mover, way) => {
  const path = ground.put(ground.at(`progress ${way} ${mover}`), way === 'up' ? 'old' : content);
  const begun = way === 'up' ? await ground.upload(mover, path, content) : await ground.download(mover, path);
  const headers = { authorization: `Bearer ${token}` };
  const told: Told[] = [];
  const polls: Promise<void>[] = [];
  const poll = async (seen: number): Promise<void> => {
    const { body } = await ground.client.get(`/tasks/${begun.id}`);
    const { done, total } = body.progress as Told;
    // What was told by the stream is what a poller sees, or less than by now.
    expect(total).toBe(content.length);
    expect(done).toBeGreaterThanOrEqual(seen);
  };
  const answer = await fetch(`${ground.broker.url}/tasks/${begun.id}/events`, { headers });
  const stream = readEvents(answer, ({ type, data }) => {
    if (type !== 'task.progress') return;
    const progress = data.progress as Told;
    told.push(progress);
    polls.push(poll(progress.done));
  });
  await stream.ended;
  await Promise.all(polls);
  if (way === 'up') await ground.expectUploaded(begun, path, content);
  else await ground.expectDownloaded(begun, content);

  const moving = told.filter(({ done }) => done > 0 && done < content.length);
  const done = moving.map((each) => each.done);
  expect(done).toEqual([...done].sort((a, b) => a - b));
  expect(new Set(done).size).toBeGreaterThan(1);
  for (const { unit, total, bytesPerSecond: rate } of moving) {
    expect([unit, total]).toEqual(['bytes', content.length]);
    expect(rate).toBeGreaterThan(0);
  }
  // Told each second. What the link carries in a second is the measure: a busy machine moves and tells alike later.
  const seconds = ((moving.at(-1)?.done ?? 0) - (moving[0]?.done ?? 0)) / bytesPerSecond;
  expect(moving.length).toBeGreaterThan(seconds / 2);
});
