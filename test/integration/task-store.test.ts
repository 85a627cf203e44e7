import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { by, openTasks, queue, type TaskFixture } from './task-fixture.ts';

const completed = { state: 'completed', resultJson: '{"size":1}' } as const;
const failed = { state: 'failed', errorJson: '{"code":"Internal","message":"x"}' } as const;

describe('the task store', () => {
  let tasks: TaskFixture;
  beforeEach(async () => {
    tasks = await openTasks(inject('lab').redis.url, { openPerUserMax: 6, openPerQueueMax: 8, admittedPerUserMax: 2 });
  });
  afterEach(() => tasks.close());

  it('keeps an accepted task as it was sent', async () => {
    const task = tasks.newTask();
    expect(await tasks.store.accept(task)).toEqual({ id: task.id, isNew: true, isAdmitted: true, rate: null });
    expect(await tasks.store.read(task.id)).toMatchObject({
      id: task.id,
      state: 'pending',
      attempt: 0,
      input: { path: '/home/gcalice' },
      timeline: [{ state: 'pending', at: task.createdAt, attempt: 0 }],
    });
  });

  it('lets one claim win of many for the same ticket', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, n) => tasks.store.claim({ id: task.id, fence: 0 }, by(`entry-${n}`, `w${n}`))),
    );
    const outcomes = claims.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'claimed')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'superseded')).toHaveLength(19);
  });

  it('lets the same entry, delivered again after its worker died, take the task over', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    await tasks.store.claim({ id: task.id, fence: 0 }, by('entry', 'dead'));
    const again = await tasks.store.claim({ id: task.id, fence: 0 }, by('entry', 'alive'));
    expect(again).toMatchObject({ outcome: 'claimed', from: 'active', task: { fence: 2, attempt: 2 } });
  });

  it('answers a claim that was sent twice as one', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const claimant = by('entry', 'w');
    await tasks.store.claim({ id: task.id, fence: 0 }, claimant);
    const again = await tasks.store.claim({ id: task.id, fence: 0 }, claimant);
    expect(again).toMatchObject({ outcome: 'claimed', from: 'pending', task: { attempt: 1, fence: 1 } });
  });

  it('keeps an idempotency key as long as its task, whatever clock the worker has', async () => {
    const task = tasks.newTask({ idempotency: { key: 'k', fingerprint: 'f' }, keepMs: 60_000 });
    await tasks.store.accept(task);
    await tasks.store.claim({ id: task.id, fence: 0 }, by('e', 'w'));
    vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000);
    await tasks.store.settle(task.id, 1, completed);
    vi.restoreAllMocks();
    expect(await tasks.redis.pttl(`${tasks.keyPrefix}:idem:alice:k`)).toBeGreaterThan(50_000);
  });

  it('refuses every write of a worker whose task was taken over', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    await tasks.store.claim({ id: task.id, fence: 0 }, by('entry', 'slow'));
    await tasks.store.claim({ id: task.id, fence: 0 }, by('entry', 'fast'));
    expect(await tasks.store.settle(task.id, 1, completed)).toMatchObject({ outcome: 'stale' });
    expect(await tasks.store.writeJournal(task.id, 1, { a: 1 })).toBe(false);
    expect(await tasks.store.release(task.id, 1, { isHandBack: false, handBacks: 0 })).toMatchObject({
      outcome: 'stale',
    });
    expect(await tasks.store.settle(task.id, 2, completed)).toMatchObject({ outcome: 'settled' });
  });

  it('ends each task once, however many ends arrive', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    await tasks.store.claim({ id: task.id, fence: 0 }, by('entry', 'w'));
    const ends = await Promise.all([completed, failed, completed].map((end) => tasks.store.settle(task.id, 1, end)));
    expect(ends.map(({ outcome }) => outcome).sort()).toEqual(['illegal', 'illegal', 'settled']);
    const record = await tasks.store.read(task.id);
    expect(record?.timeline.map(({ state }) => state)).toEqual(['pending', 'active', 'completed']);
  });

  it('refuses a transition that the table does not have', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    expect(await tasks.store.settle(task.id, null, completed)).toEqual({ outcome: 'illegal', state: 'pending' });
  });

  it('counts hand-backs apart from the attempts', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    await tasks.store.claim({ id: task.id, fence: 0 }, by('entry', 'w'));
    await tasks.store.release(task.id, 1, { isHandBack: true, handBacks: 0 });
    const again = await tasks.store.claim({ id: task.id, fence: 1 }, by('entry-2', 'w2'));
    expect(again).toMatchObject({ outcome: 'claimed', from: 'pending', task: { attempt: 2, handBacks: 1, fence: 2 } });
  });

  it('admits so many tasks of one user and lets the next through when one ends', async () => {
    const three = [tasks.newTask(), tasks.newTask(), tasks.newTask()];
    const accepted = [];
    for (const task of three) accepted.push(await tasks.store.accept(task));
    expect(accepted.map(({ isAdmitted }) => isAdmitted)).toEqual([true, true, false]);
    const [first, , third] = three.map(({ id }) => id);
    expect(await tasks.store.claim({ id: third ?? '', fence: 0 }, by('e', 'w'))).toEqual({ outcome: 'waiting' });
    await tasks.store.claim({ id: first ?? '', fence: 0 }, by('e', 'w'));
    const end = await tasks.store.settle(first ?? '', 1, completed);
    expect(end).toEqual({ outcome: 'settled', promoted: [{ id: third, fence: 0, via: 'promotion' }] });
    expect(await tasks.store.claim({ id: third ?? '', fence: 0 }, by('e', 'w'))).toMatchObject({ outcome: 'claimed' });
  });

  it('bounds the open tasks of a user and of a queue, with the time to come back', async () => {
    for (let n = 0; n < 6; n += 1) await tasks.store.accept(tasks.newTask());
    await expect(tasks.store.accept(tasks.newTask())).rejects.toMatchObject({
      ...{ code: 'UserQueueFull', retryAfterSeconds: 5, quota: 6 },
    });
    for (let n = 0; n < 2; n += 1) await tasks.store.accept(tasks.newTask({ owner: 'bob' }));
    await expect(tasks.store.accept(tasks.newTask({ owner: 'carol' }))).rejects.toMatchObject({
      ...{ code: 'QueueFull', retryAfterSeconds: 5, quota: 8 },
    });
  });

  it('bounds the open tasks of a system over all of its queues, and of no other', async () => {
    const small = await openTasks(inject('lab').redis.url, { openPerSystemMax: 3 });
    const on = (lane: string, system = 'lab') =>
      small.store.accept(small.newTask({ system, queue: `${lane}@${system}`, owner: randomUUID() }));
    for (const lane of ['interactive', 'batch', 'move']) await on(lane);
    const full = { code: 'QueueFull', message: 'The system lab has 3 open tasks, its bound.', retryAfterSeconds: 5 };
    await expect(on('transfer')).rejects.toMatchObject(full);
    expect(await on('transfer', 'other')).toMatchObject({ isNew: true });
    expect(await small.store.accept(small.newTask({ system: null, queue: 'interactive' }))).toMatchObject({
      isNew: true,
    });
    await small.close();
  });

  it('makes one task of many requests with one idempotency key, and refuses another payload', async () => {
    const idempotency = { key: 'k1', fingerprint: 'f1' };
    const accepted = await Promise.all(
      Array.from({ length: 10 }, () => tasks.store.accept(tasks.newTask({ idempotency }))),
    );
    expect(accepted.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(new Set(accepted.map(({ id }) => id)).size).toBe(1);
    const other = tasks.newTask({ idempotency: { key: 'k1', fingerprint: 'f2' } });
    await expect(tasks.store.accept(other)).rejects.toMatchObject({ code: 'IdempotencyMismatch' });
    const anothers = await tasks.store.accept(tasks.newTask({ idempotency, owner: 'bob' }));
    expect(anothers.isNew).toBe(true);
  });

  it('never forgets a key before its task', async () => {
    const task = tasks.newTask({ idempotency: { key: 'k', fingerprint: 'f' }, keepMs: 5_000 });
    await tasks.store.accept(task);
    const key = `${tasks.keyPrefix}:idem:alice:k`;
    expect(await tasks.redis.pttl(key)).toBe(-1);
    await tasks.store.claim({ id: task.id, fence: 0 }, by('e', 'w'));
    await tasks.store.settle(task.id, 1, completed);
    const [keyUntil, taskUntil] = [
      await tasks.redis.pexpiretime(key),
      await tasks.redis.pexpiretime(`${tasks.keyPrefix}:task:${task.id}`),
    ];
    expect(keyUntil).toBeGreaterThan(Date.now());
    expect(keyUntil).toBeGreaterThanOrEqual(taskUntil);
  });

  it('leaves nothing of a task but its record, its events, its place in the list and what lists filter by when it has ended', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    await tasks.store.claim({ id: task.id, fence: 0 }, by('e', 'w'));
    await tasks.store.settle(task.id, 1, completed);
    // The names of the queues are no more than there are queues.
    const keys = (await tasks.redis.keys(`${tasks.keyPrefix}:*`)).filter((key) => !key.endsWith(':queues')).sort();
    expect(keys).toEqual(
      ['events:alice', `task:${task.id}`, 'tasks:alice', `traits:alice:${Math.floor(task.createdAt / 60_000)}`].map(
        (name) => `${tasks.keyPrefix}:${name}`,
      ),
    );
    expect(await tasks.store.listOpen(queue, Date.now() + 1, 0, 10)).toEqual([]);
  });

  it('remembers the id of a task whose record is gone', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    await tasks.redis.del(`${tasks.keyPrefix}:task:${task.id}`);
    expect(await tasks.store.remembers('alice', task.id)).toBe(true);
    expect(await tasks.store.remembers('bob', task.id)).toBe(false);
  });

  it('makes no record by asking to cancel one that is gone', async () => {
    await tasks.store.requestCancel('01a20461-cda7-7045-a0dc-3da8598127de');
    expect(await tasks.redis.keys(`${tasks.keyPrefix}:*`)).toEqual([]);
  });
});
