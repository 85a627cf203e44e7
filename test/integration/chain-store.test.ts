/** The end of a step and the beginning of the next are one write: whatever dies in between, the chain goes on once. */
import { v7 as uuidv7 } from 'uuid';
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import type { NewTask } from '../../shared/platform/task-store.ts';
import type { NewStep } from '../../shared/tasks/chain.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import { alice, by, openTasks, queue, statResult, type TaskFixture } from './task-fixture.ts';

const { redis } = inject('lab');
const owner = principalKey(alice);
const done = { state: 'completed', resultJson: '{"jobId":"7"}' } as const;
let fixture: TaskFixture;

beforeEach(async () => {
  fixture = await openTasks(redis.url, { admittedPerUserMax: 1 });
});

afterEach(() => fixture.close());

const stat = { operation: 'filesystem.stat', system: 'lab', queue, input: { path: '/' }, admittedMax: 1 };
const submit = {
  operation: 'compute.submit-job',
  system: 'lab',
  queue: 'batch@lab',
  input: { job: {} },
  admittedMax: 1,
};
const view = { ...stat, operation: 'filesystem.view', input: { path: { $from: 'b/jobId' } } };

/** A chain whose first step is claimed. */
async function begun(steps: readonly Omit<NewStep, 'name'>[], over: Partial<NewTask> = {}) {
  const named = steps.map((step, n) => ({ ...step, name: 'abcd'.charAt(n) }));
  const [first] = named;
  if (first === undefined) throw new Error('no step');
  const { operation, queue: where } = first;
  const task = fixture.newTask({
    id: uuidv7(),
    owner,
    operation,
    queue: where,
    chain: { at: 0, steps: named },
    ...over,
  });
  await fixture.store.accept(task);
  const claim = await fixture.store.claim({ id: task.id, fence: 0 }, by(`${task.id}.0`, 'w1'));
  expect(claim.outcome).toBe('claimed');
  return task.id;
}

it('a step that ends well is kept, and the next is pending in its own queue', async () => {
  const id = await begun([stat, submit, view]);
  await fixture.store.writeJournal(id, 1, { phase: 'x' });
  const settled = await fixture.store.settle(id, 1, done);
  expect(settled).toEqual({
    ...{ outcome: 'settled', promoted: [] },
    next: { queue: 'batch@lab', promoted: [{ id, fence: 1, via: 'promotion' }] },
  });
  const task = await fixture.store.read(id);
  expect(task).toMatchObject({
    state: 'pending',
    operation: 'compute.submit-job',
    attempt: 0,
    journal: null,
    result: null,
  });
  expect(task?.chain).toMatchObject({
    at: 1,
    name: 'b',
    steps: [{ result: { jobId: '7' }, journal: { phase: 'x' } }, {}, {}],
  });
  expect(task?.timeline.map(({ state, step }) => `${step} ${state}`)).toEqual(['0 pending', '0 active', '1 pending']);
  expect(await fixture.store.listOpen(queue, Date.now() + 1_000, 0, 9)).toEqual([]);
  expect(await fixture.store.listOpen('batch@lab', Date.now() + 1_000, 0, 9)).toEqual([id]);
});

it('the entry and the fence of a step that ended are worth nothing to the next', async () => {
  const id = await begun([stat, submit]);
  await fixture.store.settle(id, 1, done);
  const late = await fixture.store.claim({ id, fence: 0, isTakeOver: true }, by(`${id}.0`, 'w2'));
  expect(late.outcome).toBe('superseded');
  expect((await fixture.store.settle(id, 1, done)).outcome).toBe('illegal'); // sent again: the step is not run over
  await fixture.store.claim({ id, fence: 1 }, by(`${id}.1.p`, 'w2'));
  expect((await fixture.store.settle(id, 1, done)).outcome).toBe('stale');
});

it('the next step of a chain whose worker died with the end of the step before is found by the sweeper', async () => {
  const id = await begun([stat, submit]);
  await fixture.store.settle(id, 1, done);
  expect(await fixture.sweep(Date.now() + 10_000)).toBe(1);
  expect(await fixture.queues.has('batch@lab', `${id}.1.s`)).toBe(true);
});

it('the next step waits behind those that its owner submitted before the chain, and not behind later ones', async () => {
  const aged = (ms: number) => fixture.newTask({ owner, createdAt: Date.now() + ms });
  const [running, older, later] = [aged(-5_000), aged(-4_000), aged(4_000)];
  const id = await begun([submit, stat]);
  for (const task of [running, later, older]) await fixture.store.accept(task);
  expect(await fixture.store.settle(id, 1, done)).toMatchObject({ next: { queue, promoted: [] } });
  const order: string[] = [];
  for (let at = running.id; at !== ''; ) {
    order.push(at);
    const fence = (await fixture.store.read(at))?.fence ?? 0;
    await fixture.store.claim({ id: at, fence }, by(at, 'w'));
    const end = await fixture.store.settle(at, fence + 1, { state: 'completed', resultJson: '{}' });
    at = end.outcome === 'settled' ? (end.promoted[0]?.id ?? '') : '';
  }
  expect(order).toEqual([running.id, older.id, id, later.id]);
});

it('a cancel between the steps is left to a worker where a job was submitted, which cancels it first', async () => {
  const asked: unknown[] = [];
  await fixture.consume(
    fixture.runner(async (operation, { input }) => {
      asked.push([operation.name, input]);
      return operation.name === 'compute.cancel-job' ? { jobId: '7' } : statResult;
    }),
  );
  const id = await begun([submit, stat]);
  await fixture.store.requestCancel(id);
  await fixture.store.settle(id, 1, done); // its worker dies here: nobody has added the entry
  const ended = fixture.gate.wait(id, alice, 20_000, new AbortController().signal);
  await fixture.gate.cancel(id, alice);
  expect(await ended).toMatchObject({ state: 'canceled', error: { code: 'TaskCanceled' } });
  expect(asked).toEqual([['compute.cancel-job', { jobId: '7' }]]);
});
