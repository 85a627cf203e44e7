/** Tasks that are laid by: no worker, no attempt, no place of their owner's, and nobody forgets them. */
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { Parked } from '../../workers/operations/parked.ts';
import { eventually } from '../eventually.ts';
import { alice, by, openTasks, queue, statResult, type TaskFixture } from './task-fixture.ts';

const { redis } = inject('lab');
let fixture: TaskFixture;

beforeEach(async () => {
  fixture = await openTasks(redis.url, { admittedPerUserMax: 1 });
});

afterEach(() => fixture.close());

/** A task that was claimed, with its fence. */
async function claimed(over: Parameters<TaskFixture['newTask']>[0] = {}) {
  const task = fixture.newTask({ queue, ...over });
  await fixture.store.accept(task);
  const claim = await fixture.store.claim({ id: task.id, fence: 0 }, by(`${task.id}.0`, 'w1'));
  if (claim.outcome !== 'claimed') throw new Error(claim.outcome);
  return { id: task.id, fence: claim.task.fence };
}

async function park(id: string, fence: number, place: 'aside' | 'kept' | 'turn', waitMs = 60_000) {
  const parked = await fixture.store.park(id, fence, {
    place,
    notBeforeAt: Date.now() + waitMs,
    journal: { phase: 'x' },
  });
  if (parked.outcome !== 'parked') throw new Error(parked.outcome);
  return parked;
}

describe('a parked task', () => {
  it('goes on with the attempt that parked it, however often it is looked at, and its timeline does not grow', async () => {
    const { id } = await claimed();
    for (let fence = 1; fence <= 20; fence += 1) {
      const { ticket } = await park(id, fence, 'aside');
      if (ticket === null) expect.unreachable();
      const claim = await fixture.store.claim(ticket, by(`${id}.${fence}.w`, 'w2'));
      expect(claim.outcome).toBe('claimed');
    }
    const task = await fixture.store.read(id);
    expect(task).toMatchObject({ state: 'active', attempt: 1, fence: 21, notBeforeAt: null, journal: { phase: 'x' } });
    expect(task?.timeline.map(({ state }) => state)).toEqual(['pending', 'active', 'pending']);
  });

  it('keeps its place and stays active while its work goes on elsewhere', async () => {
    const { id, fence } = await claimed();
    const other = fixture.newTask({ queue });
    expect((await fixture.store.accept(other)).isAdmitted).toBe(false);
    const { ticket, promoted } = await park(id, fence, 'kept');
    expect(promoted).toEqual([]);
    expect(ticket).toEqual({ id, fence: fence - 1, isTakeOver: true, via: 'park', isMutation: true });
    expect(await fixture.store.read(id)).toMatchObject({ state: 'active', notBeforeAt: expect.any(Number) });
  });

  it('gives its place to the owner’s next one while it waits for somebody else, and waits for a place afterwards', async () => {
    const { id, fence } = await claimed();
    const next = fixture.newTask({ queue });
    expect((await fixture.store.accept(next)).isAdmitted).toBe(false);
    const aside = await park(id, fence, 'aside');
    expect(aside.promoted).toEqual([{ id: next.id, fence: 0, via: 'promotion' }]);
    if (aside.ticket === null) expect.unreachable();
    await fixture.store.claim(aside.ticket, by('again', 'w2'));
    expect((await park(id, fence + 1, 'turn')).ticket).toBeNull();
    const refused = await fixture.store.claim({ id, fence: fence + 1 }, by('too early', 'w2'));
    expect(refused.outcome).toBe('waiting');
    await fixture.store.claim({ id: next.id, fence: 0 }, by('next', 'w1'));
    const settled = await fixture.store.settle(next.id, 1, { state: 'completed', resultJson: '{}' });
    expect(settled).toEqual({ outcome: 'settled', promoted: [{ id, fence: fence + 1, via: 'promotion' }] });
    expect((await fixture.store.claim({ id, fence: fence + 1 }, by('turn', 'w2'))).outcome).toBe('claimed');
  });

  it('counts among the open tasks of its owner, wherever it waits', async () => {
    await fixture.close();
    fixture = await openTasks(redis.url, { openPerUserMax: 2, admittedPerUserMax: 1 });
    const { id, fence } = await claimed();
    await park(id, fence, 'aside');
    await fixture.store.accept(fixture.newTask({ queue }));
    await expect(fixture.store.accept(fixture.newTask({ queue }))).rejects.toMatchObject({ code: 'UserQueueFull' });
  });

  it('is not parked by a worker that was thought dead', async () => {
    const { id, fence } = await claimed();
    await fixture.store.claim({ id, fence: 0, isTakeOver: true }, by('taken over', 'w2'));
    const parked = await fixture.store.park(id, fence, { place: 'aside', notBeforeAt: 0 });
    expect(parked.outcome).toBe('stale');
  });

  it('ends as any other, and nothing of it stays in the sets', async () => {
    const { id, fence } = await claimed();
    await park(id, fence, 'aside');
    await fixture.store.settle(id, fence, { state: 'canceled', errorJson: '{}' });
    const keys = await fixture.redis.keys(`${fixture.keyPrefix}:*`);
    expect(keys.filter((key) => /:(aside|admitted|waiting|open):/.test(key))).toEqual([]);
  });
});

describe('a handler that parks', () => {
  it('is called again when the time has come, by whichever worker, until it ends the task', async () => {
    let looks = 0;
    await fixture.consume(
      fixture.runner(async (_operation, { task }) => {
        looks += 1;
        expect(task.attempt).toBe(1);
        return looks < 4 ? new Parked({ place: 'aside', waitMs: 20, journal: { phase: 'x' } }) : statResult;
      }),
    );
    const task = fixture.newTask({ queue });
    await fixture.store.accept(task);
    await fixture.queues.add(queue, { id: task.id, fence: 0 }).done;
    await vi.waitFor(async () => expect((await fixture.store.read(task.id))?.state).toBe('completed'), {
      timeout: 30_000,
    });
    expect(looks).toBe(4);
  });

  it('tells who waits for it, at its first park, that it is prepared', async () => {
    await fixture.consume(
      fixture.runner(async () => new Parked({ place: 'aside', waitMs: 60_000, journal: { phase: 'x' } })),
    );
    const input = { path: '/x', account: null, transferDirectives: { transferMethod: 's3', fileSize: 1 } };
    const request = {
      ...{ operation: 'transfer.upload' as const, system: 'lab', principal: alice, input },
      ...{ isHeld: true, holdMs: 20_000, heldFor: 'prepared' as const, requestId: 'r' },
    };
    const accepting = fixture.gate.acceptAndWait(request, new AbortController().signal);
    // The queue of transfers is read by nobody here: the ticket is brought to the runner by hand.
    const runner = fixture.runner(async () => new Parked({ place: 'aside', waitMs: 60_000, journal: { phase: 'x' } }));
    const id = await eventually(async () => {
      const [first] = await fixture.store.listOpen('move@lab', Date.now() + 1_000, 0, 1);
      return first ?? expect.unreachable('not accepted yet');
    });
    const startedAt = Date.now();
    await runner.run({ id, fence: 0 }, `${id}.0`);
    expect(await accepting).toMatchObject({ id, state: 'pending' });
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect((await fixture.store.read(id))?.jobId).toMatch(/^\d{13}$/);
  });

  it('is called at once when the owner says that there is something to do, however long it was to lie', async () => {
    let looks = 0;
    await fixture.consume(
      fixture.runner(async () => {
        looks += 1;
        return looks === 1 ? new Parked({ place: 'aside', waitMs: 600_000, journal: { phase: 'x' } }) : statResult;
      }),
    );
    const { id } = await fixture.gate.accept({
      ...{ operation: 'filesystem.stat', system: 'lab', principal: alice, input: { path: '/', dereference: false } },
      ...{ isHeld: false, holdMs: 0, requestId: 'r' },
    });
    const read = () => fixture.store.read(id);
    await vi.waitFor(async () => expect((await read())?.notBeforeAt).not.toBeNull(), { timeout: 30_000 });
    await Promise.all([fixture.gate.hurry(id, alice), fixture.gate.hurry(id, alice)]);
    await vi.waitFor(async () => expect((await read())?.state).toBe('completed'), { timeout: 30_000 });
    expect(looks).toBeGreaterThan(1);
    await expect(fixture.gate.hurry(id, alice)).rejects.toMatchObject({ code: 'TaskConflict' });
    await expect(fixture.gate.hurry(id, { ...alice, subject: 'bob' })).rejects.toMatchObject({ code: 'TaskNotFound' });
  });

  it('ends at once when it is canceled, however long it was to lie', async () => {
    await fixture.consume(
      fixture.runner(async () => new Parked({ place: 'aside', waitMs: 600_000, journal: { phase: 'x' } })),
    );
    const { id } = await fixture.gate.accept({
      ...{ operation: 'filesystem.stat', system: 'lab', principal: alice, input: { path: '/', dereference: false } },
      ...{ isHeld: false, holdMs: 0, requestId: 'r' },
    });
    const read = () => fixture.store.read(id);
    await vi.waitFor(async () => expect((await read())?.notBeforeAt).not.toBeNull(), { timeout: 30_000 });
    await fixture.gate.cancel(id, alice);
    await vi.waitFor(async () => expect((await read())?.state).toBe('canceled'), { timeout: 30_000 });
  });
});

describe('the sweeper', () => {
  it('adds the entry of a parked task that was lost', async () => {
    const { id, fence } = await claimed();
    await park(id, fence, 'aside', 0);
    expect(await fixture.sweep(Date.now() + 60_000)).toBe(1);
    expect(await fixture.queues.has(queue, `${id}.${fence}.s`)).toBe(true);
  });
});
