import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { isSurelyLonger } from '../../workers/runtime/success-of.ts';
import { eventually } from '../eventually.ts';
import { openTasks, statRequest, statResult, type TaskFixture } from './task-fixture.ts';

describe('a record that is read with its queue entry', () => {
  let tasks: TaskFixture;
  beforeEach(async () => {
    tasks = await openTasks(inject('lab').redis.url);
  });
  afterEach(() => tasks.close());

  it('is not asked for a second time by a worker that was idle', async () => {
    const peek = vi.spyOn(tasks.store, 'peek');
    await tasks.consume(tasks.runner(async () => statResult));
    const outcome = await tasks.gate.acceptAndWait(statRequest, new AbortController().signal);
    expect(outcome.state).toBe('completed');
    expect(peek).not.toHaveBeenCalled();
  });

  it('is read again where the task was canceled meanwhile', async () => {
    const perform = vi.fn(async () => statResult);
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    expect(record?.task.isCancelRequested).toBe(false);
    await tasks.store.requestCancel(task.id);
    await eventually(() => expect(tasks.cancellations.wasHeard(task.id)).toBe(true));
    await tasks.runner(perform).run({ id: task.id, fence: 0 }, 'e', record);
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'canceled' });
    expect(perform).not.toHaveBeenCalled();
  });

  it('is dropped with its entry where another worker has claimed the task meanwhile', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    await tasks.runner(async () => ({ ...statResult, size: 1 })).run({ id: task.id, fence: 0 }, 'first');
    await tasks.runner(async () => ({ ...statResult, size: 2 })).run({ id: task.id, fence: 0 }, 'second', record);
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed', result: { size: 1 }, fence: 1 });
  });
});

describe('a mutation whose record was read ahead', () => {
  let tasks: TaskFixture;
  beforeEach(async () => {
    tasks = await openTasks(inject('lab').redis.url);
  });
  afterEach(() => tasks.close());

  it('may be looked at before its claim is there, and changes nothing where another worker came first', async () => {
    const task = tasks.newTask({ queue: 'batch@lab', operation: 'compute.cancel-job', input: '{"jobId":"1"}' });
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    const looked: string[] = [];
    const changed: string[] = [];
    const runnerOf = (name: string) =>
      tasks.runner(async (_operation, { claimed, signal }) => {
        looked.push(name);
        await claimed;
        signal.throwIfAborted();
        changed.push(name);
        return { jobId: '1' };
      });
    const ticket = { id: task.id, fence: 0, isMutation: true };
    await Promise.all(['first', 'second'].map((name) => runnerOf(name).run(ticket, name, record)));
    expect(looked.sort()).toEqual(['first', 'second']);
    expect(changed).toHaveLength(1);
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed', attempt: 1, fence: 1 });
  });
});

describe('what is large for sure', () => {
  it('is never taken for larger than its JSON text', () => {
    const value = { entries: Array.from({ length: 50 }, (_, n) => ({ name: `n${n}`, target: null, size: n })) };
    const bytes = Buffer.byteLength(JSON.stringify(value));
    expect(isSurelyLonger(value, bytes)).toBe(false);
    expect(isSurelyLonger({ text: 'x'.repeat(bytes + 1) }, bytes)).toBe(true);
    expect(isSurelyLonger(['x'.repeat(bytes), { y: ['z'] }], bytes)).toBe(true);
  });
});
