import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { alice, by, openTasks, queue, statRequest, statResult, type TaskFixture } from './task-fixture.ts';

const request = { ...statRequest, isHeld: false };
const never = new AbortController().signal;

describe('the sweeper', () => {
  let tasks: TaskFixture;
  beforeEach(async () => {
    tasks = await openTasks(inject('lab').redis.url, { admittedPerUserMax: 4 });
  });
  afterEach(() => tasks.close());

  /** The queue as it would be after somebody emptied it. */
  const loseEntry = async (id: string): Promise<void> => {
    while (!(await tasks.queues.has(queue, `${id}.0`))) await sleep(1);
    await tasks.redis.del(...(await tasks.redis.keys(`${tasks.keyPrefix}:q:*`)));
  };

  it('sweeps the other tasks where one record cannot be read', async () => {
    const strange = tasks.newTask({ createdAt: Date.now() - 60_000 });
    await tasks.store.accept(strange);
    await tasks.redis.hset(`${tasks.keyPrefix}:task:${strange.id}`, 'state', 'hibernating');
    const { id } = await tasks.gate.accept(request);
    await loseEntry(id);
    expect(await tasks.sweep(Date.now() + 60_000)).toBe(1);
  });

  it('gives a task whose queue entry was lost another one', async () => {
    const { id } = await tasks.gate.accept(request);
    await loseEntry(id);
    expect(await tasks.sweep(Date.now() + 60_000)).toBe(1);
    await tasks.consume(tasks.runner(async () => statResult));
    expect(await tasks.gate.wait(id, alice, 10_000, never)).toMatchObject({ state: 'completed' });
  });

  it('takes over an active task whose worker and queue entry are gone', async () => {
    const { id } = await tasks.gate.accept(request);
    await tasks.store.claim({ id, fence: 0 }, by('gone', 'dead'));
    await loseEntry(id);
    expect(await tasks.sweep(Date.now() + 60_000)).toBe(1);
    await tasks.consume(tasks.runner(async () => statResult));
    expect(await tasks.gate.wait(id, alice, 10_000, never)).toMatchObject({ state: 'completed', attempt: 2 });
  });

  it('gives up a task that its workers do not survive', async () => {
    const { id } = await tasks.gate.accept(request);
    for (const fence of [0, 0, 1]) await tasks.store.claim({ id, fence, isTakeOver: true }, by('e', 'dead'));
    await loseEntry(id);
    await tasks.sweep(Date.now() + 60_000);
    await tasks.consume(tasks.runner(async () => statResult));
    expect(await tasks.gate.wait(id, alice, 10_000, never)).toMatchObject({
      state: 'failed',
      error: { code: 'WorkerLost' },
    });
  });

  it('reads no record of tasks that wait their turn or stand in the queue, however many they are', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 600; n += 1) ids.push((await tasks.gate.accept(request)).id);
    for (const id of ids.slice(0, 4)) while (!(await tasks.queues.has(queue, `${id}.0`))) await sleep(1);
    const read = vi.spyOn(tasks.store, 'read');
    expect(await tasks.sweep(Date.now() + 30_000)).toBe(0);
    expect(read).not.toHaveBeenCalled();
    await tasks.redis.hset(`${tasks.keyPrefix}:task:${ids[599]}`, 'cancel', '1');
    expect(await tasks.sweep(Date.now() + 30_000)).toBe(1);
    expect(read.mock.calls).toEqual([[ids[599]]]);
    expect(await tasks.gate.get(ids[599] ?? '', alice)).toMatchObject({ state: 'canceled' });
  });

  it('ends a task whose deadline passed while it waited', async () => {
    const { id } = await tasks.gate.accept({ ...request, deadlineAt: Date.now() + 5 });
    await sleep(10);
    await tasks.sweep(Date.now() + 60_000);
    expect(await tasks.gate.get(id, alice)).toMatchObject({ state: 'failed', error: { code: 'DeadlineExceeded' } });
  });
});
