/** The list of a user's tasks, their own order, delayed starts and keys, in the real store. */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { TaskFilter } from '../../shared/platform/task-lists.ts';
import { eventually } from '../eventually.ts';
import { alice, bob, by, openTasks, queue, type TaskFixture } from './task-fixture.ts';

const completed = { state: 'completed', resultJson: '{"size":1}' } as const;
const failed = { state: 'failed', errorJson: '{"code":"FileNotFound"}' } as const;
const everything: TaskFilter = {
  ...{ after: null, sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER, states: [], operation: '', system: '', tag: '' },
  shownMax: 3,
};
const at = 1_800_000_000_000;

let tasks: TaskFixture;
beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url, {
    admittedPerUserMax: 2,
    openPerUserMax: 100,
    keepMs: 10 * 365 * 24 * 3_600_000,
  });
});
afterEach(() => tasks.close());

/** The ids of every page, one after another, with `between` called after each page. */
async function walk(filter: Partial<TaskFilter>, between: () => Promise<unknown> = async () => {}): Promise<string[]> {
  const ids: string[] = [];
  let after: TaskFilter['after'] = null;
  do {
    const page = await tasks.store.list('alice', { ...everything, ...filter, after });
    ids.push(...page.tasks.map(({ id }) => id));
    after = page.next;
    await between();
  } while (after !== null);
  return ids;
}

describe('the list of tasks', () => {
  it('shows each task once, newest first, while others are accepted and removed, also of one millisecond', async () => {
    const made = Array.from({ length: 11 }, (_, n) => tasks.newTask({ createdAt: at + Math.floor(n / 4) }));
    for (const task of made) await tasks.store.accept(task);
    const newestFirst = [...made]
      .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
      .map(({ id }) => id);
    expect(await walk({})).toEqual(newestFirst);
    const meanwhile = async () => tasks.store.accept(tasks.newTask({ createdAt: at + 1_000 }));
    expect(await walk({}, meanwhile)).toEqual(newestFirst);
  });

  it('goes on after a task that has left the index in the meantime', async () => {
    const made = Array.from({ length: 6 }, () => tasks.newTask({ createdAt: at }));
    for (const task of made) await tasks.store.accept(task);
    const newestFirst = made
      .map(({ id }) => id)
      .sort()
      .reverse();
    const page = await tasks.store.list('alice', everything);
    await tasks.redis.zrem(`${tasks.keyPrefix}:tasks:alice`, page.next?.id ?? '');
    const rest = await tasks.store.list('alice', { ...everything, after: page.next });
    expect([...page.tasks, ...rest.tasks].map(({ id }) => id)).toEqual(newestFirst);
    expect(rest.next).toBeNull();
  });

  it('is filtered by state, operation, system, tag and time', async () => {
    const old = tasks.newTask({ createdAt: at, tags: ['run-7', 'gold'] });
    const other = tasks.newTask({ createdAt: at + 1, operation: 'filesystem.ls', system: 'else', tags: ['run-70'] });
    const ended = tasks.newTask({ createdAt: at + 2 });
    for (const task of [old, other, ended]) await tasks.store.accept(task);
    await tasks.store.settle(ended.id, null, { state: 'canceled', errorJson: '{"code":"TaskCanceled"}' });
    expect(await walk({ tag: 'run-7' })).toEqual([old.id]);
    expect(await walk({ tag: 'run' })).toEqual([]);
    expect(await walk({ operation: 'filesystem.ls' })).toEqual([other.id]);
    expect(await walk({ system: 'else' })).toEqual([other.id]);
    expect(await walk({ states: ['canceled', 'failed'] })).toEqual([ended.id]);
    expect(await walk({ sinceMs: at + 1, untilMs: at + 1 })).toEqual([other.id]);
    expect(await walk({ untilMs: at - 1 })).toEqual([]);
  });

  it('is the same whether what it filters by is read beside the records of ended tasks or in them', async () => {
    const made = Array.from({ length: 48 }, (_, n) =>
      tasks.newTask({
        ...{ createdAt: at + n * 7_001, system: n % 2 === 0 ? 'lab' : 'else', tags: [`t-${n % 3}`] },
        operation: n % 5 === 0 ? 'filesystem.ls' : 'filesystem.stat',
      }),
    );
    const ends = [failed, { ...failed, state: 'canceled' } as const, null];
    for (const [n, task] of made.entries()) {
      await tasks.store.accept(task);
      const end = ends[n % ends.length];
      if (end) await tasks.store.settle(task.id, null, end);
    }
    const filters: Partial<TaskFilter>[] = [
      ...[{}, { states: ['failed'] as const }, { states: ['canceled', 'pending'] as const }, { tag: 't-2' }],
      ...[{ system: 'else' }, { operation: 'filesystem.ls' }, { system: 'lab', states: ['failed'] as const }],
    ];
    const lists = () => Promise.all(filters.map((filter) => walk({ ...filter, shownMax: 7 })));
    const beside = await lists();
    expect(beside.map((ids) => ids.length)).toEqual([48, 16, 32, 16, 24, 10, 8]);
    const traits = await tasks.redis.keys(`${tasks.keyPrefix}:traits:*`);
    expect(traits).toHaveLength(6); // one for each minute
    await tasks.redis.del(...traits);
    expect(await lists()).toEqual(beside);
  });

  it('reads no record of an ended task that the filter leaves out, and shows none that is no longer kept', async () => {
    const [ended, gone, open] = [0, 1, 2].map((n) =>
      tasks.newTask({ createdAt: at + n, keepMs: n === 1 ? 300 : 60_000 }),
    );
    for (const task of [ended, gone, open]) if (task) await tasks.store.accept(task);
    for (const task of [gone, ended]) await tasks.store.settle(task?.id ?? '', null, failed);
    // Were it looked at, it would be taken for active.
    await tasks.redis.hset(`${tasks.keyPrefix}:task:${ended?.id}`, 'state', 'active');
    expect(await tasks.redis.hlen(`${tasks.keyPrefix}:traits:alice:${Math.floor(at / 60_000)}`)).toBe(2);
    await eventually(async () => expect(await tasks.store.read(gone?.id ?? '')).toBeNull());
    expect(await walk({ states: ['active'] })).toEqual([]);
    expect((await tasks.store.list('alice', everything)).tasks.map(({ id }) => id)).toEqual([open?.id, ended?.id]);
    expect(await walk({ states: ['pending'] })).toEqual([open?.id]);
  });

  it('looks at a bounded number of rows a page, and says where to go on', async () => {
    await tasks.store.accept(tasks.newTask({ createdAt: at, tags: ['needle'] }));
    const rows = Array.from({ length: 1_500 }, (_, n) => [at + 1 + n, `gone-${n}`]).flat();
    await tasks.redis.zadd(`${tasks.keyPrefix}:tasks:alice`, ...rows);
    const first = await tasks.store.list('alice', { ...everything, tag: 'needle' });
    expect([first.tasks.length, first.next?.id]).toEqual([0, 'gone-500']);
    const second = await tasks.store.list('alice', { ...everything, tag: 'needle', after: first.next });
    expect([second.tasks.length, second.next]).toEqual([1, null]);
  });

  it('is of the caller alone', async () => {
    await tasks.gate.accept(listing({}));
    expect((await tasks.gate.list(alice, everything)).tasks).toHaveLength(1);
    expect((await tasks.gate.list(bob, everything)).tasks).toEqual([]);
  });
});

function listing(over: { priority?: number; startAt?: number; idempotencyKey?: string; fingerprint?: string }) {
  return {
    ...({ operation: 'filesystem.stat', system: 'lab', principal: alice, input: { path: '/' } } as const),
    ...{ isHeld: false, holdMs: 0, requestId: 'r' },
    ...over,
  };
}

describe("the order of a user's own tasks", () => {
  it('is by priority, then by time, and a higher one overtakes no task that already stands in the queue', async () => {
    const priorities = [0, 0, 0, -100, 5, 0, 100, 5];
    const made = priorities.map((priority, n) => tasks.newTask({ createdAt: at + n, priority }));
    for (const task of made) await tasks.store.accept(task);
    const order: number[] = [];
    const running = [0, 1];
    while (running.length > 0) {
      const n = running.shift() ?? -1;
      const settled = await tasks.store.settle(made[n]?.id ?? '', null, { state: 'failed', errorJson: '{}' });
      for (const { id } of settled.outcome === 'settled' ? settled.promoted : []) {
        const next = made.findIndex((task) => task.id === id);
        order.push(next);
        running.push(next);
      }
    }
    expect(order).toEqual([6, 4, 7, 2, 5, 3]);
  });
});

describe('a task that is not to begin before a time', () => {
  it('takes no place from others until then, counts as open, and is refused to a worker that comes early', async () => {
    const later = tasks.newTask({ startAt: Date.now() + 60_000 });
    expect(await tasks.store.accept(later)).toMatchObject({ isAdmitted: false });
    expect(await tasks.store.countOpen('alice', [queue])).toEqual([1]);
    expect(await tasks.store.claim({ id: later.id, fence: 0 }, by('e', 'w'))).toEqual({ outcome: 'waiting' });
    for (let n = 0; n < 2; n += 1)
      expect(await tasks.store.accept(tasks.newTask())).toMatchObject({ isAdmitted: true });
  });

  it('takes its place with its claim when the time has come, or waits for one', async () => {
    const [first, second] = [1, 2].map(() => tasks.newTask({ startAt: Date.now() }));
    for (const task of [first, second]) if (task) await tasks.store.accept(task);
    const running = tasks.newTask();
    await tasks.store.accept(running);
    expect(await tasks.store.claim({ id: first?.id ?? '', fence: 0 }, by('e', 'w'))).toMatchObject({
      outcome: 'claimed',
    });
    expect(await tasks.store.claim({ id: second?.id ?? '', fence: 0 }, by('e2', 'w'))).toEqual({ outcome: 'waiting' });
    const settled = await tasks.store.settle(first?.id ?? '', 1, completed);
    expect(settled).toMatchObject({ promoted: [{ id: second?.id }] });
  });

  it('runs when it is due, through the queue', async () => {
    const begun: number[] = [];
    await tasks.consume(
      tasks.runner(async () => {
        begun.push(Date.now());
        throw new Error('seen');
      }),
    );
    const startAt = Date.now() + 300;
    const { id } = await tasks.gate.accept(listing({ startAt }));
    const ended = await tasks.gate.wait(id, alice, 30_000, new AbortController().signal);
    expect(ended.state).toBe('failed');
    expect(begun[0]).toBeGreaterThanOrEqual(startAt);
  });

  it('gets its queue entry again when that was lost, and can be canceled before', async () => {
    const task = tasks.newTask({ startAt: Date.now() + 3_600_000, deadlineAt: Date.now() + 7_200_000 });
    await tasks.store.accept(task);
    expect(await tasks.sweep(Date.now() + 10_000)).toBe(1);
    expect(await tasks.queues.has(queue, `${task.id}.0.s`)).toBe(true);
    const { id } = await tasks.gate.accept(listing({ startAt: Date.now() + 3_600_000 }));
    expect(await tasks.gate.cancel(id, alice)).toMatchObject({ state: 'canceled' });
    expect(await tasks.gate.countOpen(alice, [queue])).toEqual([0]);
  });
});

describe('idempotency keys over two API processes', () => {
  it('make one task of fifty requests at the same time', async () => {
    const other = await openTasks(inject('lab').redis.url, { keyPrefix: tasks.keyPrefix });
    try {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) =>
          (n % 2 === 0 ? tasks : other).gate.accept(listing({ idempotencyKey: 'k', fingerprint: 'f' })),
        ),
      );
      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
      expect(answers.filter(({ isReplay }) => !isReplay)).toHaveLength(1);
      const refused = other.gate.accept(listing({ idempotencyKey: 'k', fingerprint: 'g' }));
      await expect(refused).rejects.toMatchObject({ code: 'IdempotencyMismatch' });
    } finally {
      await other.close();
    }
  });

  it('of a batch and of a task are one kind: neither passes for the other', async () => {
    await tasks.gate.beginBatch(alice, 'b', 'f');
    await tasks.gate.beginBatch(alice, 'b', 'f');
    await expect(tasks.gate.beginBatch(alice, 'b', 'g')).rejects.toMatchObject({ code: 'IdempotencyMismatch' });
    const single = tasks.gate.accept(listing({ idempotencyKey: 'b', fingerprint: 'f' }));
    await expect(single).rejects.toMatchObject({ code: 'IdempotencyMismatch' });
    await tasks.gate.accept(listing({ idempotencyKey: 's', fingerprint: 'f' }));
    await expect(tasks.gate.beginBatch(alice, 's', 'f')).rejects.toMatchObject({ code: 'IdempotencyMismatch' });
    await tasks.gate.beginBatch(bob, 'b', 'g');
  });
});
