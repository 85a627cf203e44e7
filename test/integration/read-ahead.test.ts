import { afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { createQueueAdder } from '../../shared/platform/queues.ts';
import type { Peeked } from '../../shared/platform/task-answers.ts';
import { isSurelyLonger } from '../../workers/runtime/success-of.ts';
import type { EarlyRun } from '../../workers/runtime/task-runner.ts';
import { eventually } from '../eventually.ts';
import { openTasks, queue, statRequest, statResult, type TaskFixture } from './task-fixture.ts';

const standingLock = { key: 'read-ahead:standing:lock', token: 'mine' };
const untakenLock = { key: 'read-ahead:untaken:lock', token: 'mine' };

beforeAll(async () => {
  const tasks = await openTasks(inject('lab').redis.url);
  await tasks.redis.set(standingLock.key, standingLock.token, 'EX', 600);
  await tasks.close();
});

/** Of a task whose record was read and whose entry this worker has got, or will have. */
function taken(record: Peeked | undefined, isOurs = Promise.resolve(true), lock = standingLock): EarlyRun {
  const taking = { send: async () => {}, isOurs, lock };
  return record === undefined ? { taking } : { record, taking };
}

/** A promise, and what resolves it. */
function awaited<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

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
    await tasks.runner(perform).run({ id: task.id, fence: 0 }, 'e', taken(record));
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'canceled' });
    expect(perform).not.toHaveBeenCalled();
  });

  it('is dropped with its entry where another worker has claimed the task meanwhile', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    await tasks.runner(async () => ({ ...statResult, size: 1 })).run({ id: task.id, fence: 0 }, 'first');
    await tasks
      .runner(async () => ({ ...statResult, size: 2 }))
      .run({ id: task.id, fence: 0 }, 'second', taken(record));
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed', result: { size: 1 }, fence: 1 });
  });
});

describe('a mutation whose record was read ahead', () => {
  let tasks: TaskFixture;
  beforeEach(async () => {
    tasks = await openTasks(inject('lab').redis.url);
  });
  afterEach(() => tasks.close());

  it('is claimed before it is looked at: the claim is on its way', async () => {
    const task = tasks.newTask({ queue: 'batch@lab', operation: 'compute.cancel-job', input: '{"jobId":"1"}' });
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    const { promise: sent, resolve: send } = awaited<void>();
    const claim = vi.spyOn(tasks.store, 'claim');
    const perform = vi.fn(async () => ({ jobId: '1' }));
    const early = taken(record);
    const running = tasks.runner(perform).run({ id: task.id, fence: 0, isMutation: true }, 'e', {
      ...early,
      taking: { ...early.taking, send: () => sent },
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(perform).not.toHaveBeenCalled();
    send();
    await running;
    expect(claim).toHaveBeenCalledOnce();
    expect(claim.mock.invocationCallOrder[0]).toBeLessThan(perform.mock.invocationCallOrder[0] ?? 0);
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed', attempt: 1, fence: 1 });
  });

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
    await Promise.all(['first', 'second'].map((name) => runnerOf(name).run(ticket, name, taken(record))));
    expect(looked.sort()).toEqual(['first', 'second']);
    expect(changed).toHaveLength(1);
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed', attempt: 1, fence: 1 });
  });
});

describe('a task that begins while its entry is taken', () => {
  let tasks: TaskFixture;
  beforeEach(async () => {
    tasks = await openTasks(inject('lab').redis.url, { admittedPerUserMax: 100 });
  });
  afterEach(() => tasks.close());

  it('is written nothing of before this worker has got the entry', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    const { promise: isOurs, resolve: take } = awaited<boolean>();
    const perform = vi.fn(async () => statResult);
    const lock = { key: `${tasks.keyPrefix}:entry:lock`, token: 'mine' };
    const running = tasks.runner(perform).run({ id: task.id, fence: 0 }, 'e', taken(record, isOurs, lock));
    await eventually(() => expect(perform).toHaveBeenCalled());
    await tasks.redis.ping(); // what the run had sent would have been done before
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'pending', fence: 0 });
    await tasks.redis.set(lock.key, lock.token);
    take(true);
    await running;
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed', fence: 1 });
  });

  it('is not claimed by who had the entry and has lost its lock', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    const early = taken(record, Promise.resolve(true), untakenLock);
    await tasks.runner(async () => statResult).run({ id: task.id, fence: 0 }, 'e', early);
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'pending', fence: 0 });
  });

  const submission = {
    operation: 'compute.submit-job',
    queue: 'batch@lab',
    input: '{"job":{"workingDirectory":"/","script":"#!/bin/sh"}}',
  };

  it.each([
    ['and goes on with the answer', true],
    ['and goes no further where the answer says that it got another', false],
  ])(
    'is claimed where Redis knows that this worker has the entry, before the answer comes, %s',
    async (_then, isOurs) => {
      const task = tasks.newTask(submission);
      await tasks.store.accept(task);
      const record = (await tasks.store.peek(task.id)) ?? undefined;
      const lock = { key: `${tasks.keyPrefix}:entry:lock`, token: 'mine' };
      await tasks.redis.set(lock.key, lock.token);
      const { promise, resolve: answer } = awaited<boolean>();
      const effects: string[] = [];
      const runner = tasks.runner(async (_operation, { journal }) => {
        await journal.write({ phase: 'intended' });
        effects.push('submitted');
        return { jobId: '1' };
      });
      const running = runner.run({ id: task.id, fence: 0 }, 'e', taken(record, promise, lock));
      await eventually(async () =>
        expect(await tasks.store.read(task.id)).toMatchObject({ state: 'active', journal: { phase: 'intended' } }),
      );
      expect(effects).toEqual([]);
      answer(isOurs);
      await running;
      expect(effects).toEqual(isOurs ? ['submitted'] : []);
      // Where it is not known who has it, it is left as it stands, for the entry's next delivery.
      expect((await tasks.store.read(task.id))?.state).toBe(isOurs ? 'completed' : 'active');
    },
  );

  it('is not claimed where Redis knows that another worker has the entry', async () => {
    const task = tasks.newTask(submission);
    await tasks.store.accept(task);
    const before = await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${task.id}`);
    const by = { entryId: 'e', worker: 'w', startedAt: Date.now(), claimId: 'c' };
    const lock = { key: `${tasks.keyPrefix}:entry:lock`, token: 'mine' };
    await tasks.redis.set(lock.key, 'of another');
    const ticket = { id: task.id, fence: 0 };
    expect(await tasks.store.claim(ticket, { ...by, lock }, { phase: 'intended' })).toEqual({ outcome: 'untaken' });
    const end = { state: 'completed', resultJson: '{}' } as const;
    expect(await tasks.store.claimAndSettle(ticket, { ...by, lock }, end)).toMatchObject({ outcome: 'untaken' });
    expect(await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${task.id}`)).toEqual(before);
  });

  it.each([
    ['read', { operation: 'filesystem.stat' }],
    ['submission', submission],
  ])('ends without a trace where another worker got the entry of a %s', async (_kind, over) => {
    const task = tasks.newTask(over);
    await tasks.store.accept(task);
    const before = await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${task.id}`);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    const seen: unknown[] = [];
    const runner = tasks.runner(async (_operation, { journal, signal }) => {
      await journal.write({ phase: 'intended' }).catch((error: unknown) => seen.push(error));
      signal.throwIfAborted();
      seen.push('had an effect');
    });
    await runner.run({ id: task.id, fence: 0 }, 'e', taken(record, Promise.resolve(false), untakenLock));
    expect(seen).toMatchObject([{ code: 'WorkerLost' }]);
    expect(await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${task.id}`)).toEqual(before);
  });

  it('is taken with the entries that wait behind its own, each once, by workers with little room', async () => {
    const runs: string[] = [];
    const runner = tasks.runner(async (_operation, { task }) => {
      runs.push(task.id);
      return statResult;
    });
    const waiting = Array.from({ length: 60 }, () => tasks.newTask());
    for (const task of waiting) {
      await tasks.store.accept(task);
      await tasks.queues.add(queue, { id: task.id, fence: 0 }).done; // an entry of its own
    }
    await Promise.all([1, 2, 3].map((room) => tasks.consume(runner, room)));
    await eventually(async () => {
      for (const { id } of waiting)
        expect(await tasks.store.read(id)).toMatchObject({ state: 'completed', attempt: 1 });
    });
    const ids = waiting.map(({ id }) => id).sort();
    expect([...new Set(runs)].sort()).toEqual(ids);
    const left = async (list: string) => tasks.redis.llen(`${tasks.keyPrefix}:q:${queue}:${list}`);
    await eventually(async () => expect([await left('wait'), await left('active')]).toEqual([0, 0]));
  });

  it('is worked off, with the entries that were taken along, by a worker that is stopped meanwhile', async () => {
    let stopped: Promise<void> | undefined;
    const consumer = await tasks.consume(
      tasks.runner(async () => {
        stopped ??= consumer.stop(); // its entry is not taken yet
        return statResult;
      }),
    );
    const waiting = Array.from({ length: 3 }, () => tasks.newTask());
    await Promise.all(waiting.map((task) => tasks.store.accept(task)));
    // An entry of its own for each, all in one turn.
    const adders = waiting.map(() => createQueueAdder(tasks.redis, tasks.keyPrefix));
    await Promise.all(waiting.map(({ id }, n) => adders[n]?.add(queue, { id, fence: 0 }).done));
    await eventually(() => expect(stopped).toBeDefined());
    await stopped;
    const entries = await Promise.all(
      ['wait', 'active'].map((list) => tasks.redis.lrange(`${tasks.keyPrefix}:q:${queue}:${list}`, 0, -1)),
    );
    expect(entries[1]).toEqual([]); // a worker that has stopped holds none
    const left = entries.flat().join();
    for (const { id } of waiting.filter((task) => !left.includes(task.id)))
      expect(await tasks.store.read(id)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(left.split(',').filter(Boolean).length).toBeLessThan(3);
  });

  it('leaves no marker for other workers to wake for, and none that comes later waits for one', async () => {
    const runner = tasks.runner(async () => statResult);
    await Promise.all([tasks.consume(runner), tasks.consume(runner)]);
    const marker = `${tasks.keyPrefix}:q:${queue}:marker`;
    const lookWithin = { timeout: 3_000 }; // a worker that was not woken looks after 5 s
    for (let round = 0; round < 100; round += 1) {
      const held = Array.from({ length: 1 + (round % 3) }, () =>
        tasks.gate.acceptAndWait(statRequest, new AbortController().signal),
      );
      await vi.waitFor(() => Promise.all(held), lookWithin);
    }
    await vi.waitFor(async () => expect(await tasks.redis.exists(marker)).toBe(0), lookWithin);
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
