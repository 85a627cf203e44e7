/** Glances at the work of parked tasks: no queue, no claim, the progress told, and a look as soon as one is due. */
import { v7 as uuidv7 } from 'uuid';
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import { type Progress, principalKey } from '../../shared/tasks/task.ts';
import { type Glance, Parked } from '../../workers/operations/parked.ts';
import { glancesMax } from '../../workers/runtime/glances.ts';
import { alice, openTasks, queue, statResult, type TaskFixture } from './task-fixture.ts';

const { redis } = inject('lab');
let fixture: TaskFixture;

beforeEach(async () => {
  fixture = await openTasks(redis.url);
});

afterEach(() => fixture.close());

/** Longer than any test waits. */
const netMs = 600_000;
const far = (done: number): Progress => ({ done, total: 9, unit: 'bytes', message: 'in progress' });
const read = (id: string) => fixture.store.read(id);
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 30_000 });

/** A task whose handler parks it with `glance`, and ends it when it is called again; `over` is of the runner. */
async function glancedAt(
  look: Glance['look'],
  {
    task: change = {},
    ...over
  }: Parameters<TaskFixture['runner']>[2] & { task?: Parameters<TaskFixture['newTask']>[0] } = {},
) {
  let calls = 0;
  const perform = async () => {
    calls += 1;
    if (calls > 1) return statResult;
    return new Parked({ place: 'kept', waitMs: netMs, journal: { phase: 'x' }, glance: { waitMs: () => 10, look } });
  };
  const consumer = await fixture.consume(fixture.runner(perform, 3, over));
  const task = fixture.newTask({ queue, ...change });
  await fixture.store.accept(task);
  await fixture.queues.add(queue, { id: task.id, fence: 0 }).done;
  return { id: task.id, calls: () => calls, consumer };
}

it('tell the progress of a task that nobody claims, and have it taken up when there is something to do', async () => {
  let done = 0;
  let isOver = false;
  const { id, calls } = await glancedAt(async () => (isOver ? null : far(++done)));
  await until(async () => expect((await read(id))?.progress?.done).toBeGreaterThan(2));
  expect(await read(id)).toMatchObject({ state: 'active', fence: 1, attempt: 1, notBeforeAt: expect.any(Number) });
  expect(calls()).toBe(1);
  isOver = true;
  await until(async () => expect((await read(id))?.state).toBe('completed'));
  expect(calls()).toBe(2);
  // The entry that was to come later came now: nothing is left of it.
  await until(async () => expect(await fixture.queues.has(queue, `${id}.0.wt`)).toBe(false));
});

it('end when another worker takes the task up, and write nothing over what that says', async () => {
  let glances = 0;
  const { id } = await glancedAt(async () => far(++glances));
  await until(async () => expect((await read(id))?.progress).not.toBeNull());
  const claimant = { entryId: 'elsewhere', worker: 'w2', startedAt: Date.now(), claimId: 'c' };
  const claim = await fixture.store.claim({ id, fence: 0, isTakeOver: true }, claimant);
  expect(claim.outcome).toBe('claimed');
  expect(await fixture.store.tellProgress(id, 1, far(-1))).toBe('taken');
  await fixture.glances.stop();
  expect((await read(id))?.progress?.done).toBeGreaterThan(0);
});

it('of a worker that is lost are missed by whoever asks for the progress, and another takes the task up then', async () => {
  let glances = 0;
  let end = (_progress: null): void => {};
  // The second one does not end: as much as those of a worker that was killed.
  const hung = new Promise<null>((resolve) => {
    end = resolve;
  });
  const look = async () => (++glances === 1 ? far(1) : hung);
  const { id, calls } = await glancedAt(look, { task: { id: uuidv7(), owner: principalKey(alice) } });
  await until(async () => expect((await read(id))?.progress).not.toBeNull());
  expect((await fixture.gate.get(id, alice)).state).toBe('active');
  expect(await fixture.queues.has(queue, `${id}.0.kt`)).toBe(false);
  await until(async () => expect((await fixture.gate.get(id, alice)).state).toBe('completed'));
  expect(calls()).toBe(2);
  end(null);
});

it('of a worker that stops leave the task to another one, at once', async () => {
  const { id } = await glancedAt(async () => far(1));
  await until(async () => expect((await read(id))?.progress).not.toBeNull());
  await fixture.glances.stop();
  expect(fixture.glances.hasRoom()).toBe(false);
  await until(async () => expect((await read(id))?.state).toBe('completed'));
});

it('see a wish to cancel that was told while the task was laid by', async () => {
  const { id } = await glancedAt(async () => far(1));
  await until(async () => expect((await read(id))?.progress).not.toBeNull());
  // Without the entry that the API adds for it.
  await fixture.store.requestCancel(id);
  await until(async () => expect((await read(id))?.notBeforeAt).toBeNull());
});

it('ask nobody whether the task may go on: a look comes when that is to be asked, or at its deadline', async () => {
  const asked = await glancedAt(async () => far(1), { askEveryMs: 100 });
  await until(async () => expect((await read(asked.id))?.state).toBe('completed'));
  await asked.consumer.stop();
  const due = await glancedAt(async () => far(1), { task: { deadlineAt: Date.now() + 300_000 } });
  await until(async () => expect((await read(due.id))?.notBeforeAt).not.toBeNull());
  const { notBeforeAt, deadlineAt } = (await read(due.id)) ?? expect.unreachable();
  expect(notBeforeAt).toBeLessThanOrEqual(deadlineAt + 5);
});

it('are bounded: beyond that a task is looked at through the queue, as often', async () => {
  const look = async () => far(1);
  for (let number = 0; number < glancesMax; number += 1) {
    fixture.glances.begin({ id: `none ${number}`, fence: 0, queue }, 'none', { waitMs: () => netMs, look });
  }
  expect(fixture.glances.hasRoom()).toBe(false);
  const { id } = await glancedAt(() => expect.unreachable('no room'));
  await until(async () => expect((await read(id))?.state).toBe('completed'));
});
