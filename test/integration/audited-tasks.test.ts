/** What the audit trail has of tasks, whoever is lost: no task is kept without the record of its request. */
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import type { NotNew } from '../../api/tasks/lost-accept.ts';
import type { AcceptRequest } from '../../api/tasks/task-gate.ts';
import { parseLine } from '../../shared/audit/chain.ts';
import { type AuditTrail, createAuditTrail } from '../../shared/audit/trail.ts';
import { verifyLines } from '../../shared/audit/verify.ts';
import { type AuditStore, createAuditStore } from '../../shared/platform/audit-store.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { eventually } from '../eventually.ts';
import { bob, openTasks, silent, statRequest, type TaskFixture } from './task-fixture.ts';

const cancelJob = { ...statRequest, operation: 'compute.cancel-job' as const, input: { jobId: '1' } };
const never = (): AbortSignal => new AbortController().signal;

let tasks: TaskFixture;
let witness: Redis;
let store: AuditStore;
const trails: AuditTrail[] = [];

beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url, { admittedPerUserMax: 100, openPerUserMax: 50 });
  witness = connectRedis(inject('lab').redis.url, 'persist', silent);
  store = createAuditStore(witness, { keyPrefix: tasks.keyPrefix, recordsMax: 100_000 });
});
afterEach(async () => {
  await Promise.all(trails.splice(0).map((trail) => trail.close()));
  await tasks.close();
  await witness.quit();
});

/** Over the connection of the tasks, as in the processes themselves. */
function openTrail(writer: string): AuditTrail {
  const kept = createAuditStore(tasks.redis, { keyPrefix: tasks.keyPrefix, recordsMax: 100_000 });
  const trail = createAuditTrail({ writer, key: null, lines: null, store: kept, log: silent });
  trails.push(trail);
  return trail;
}

/** A request whose record says of which task it is. */
function recorded(trail: AuditTrail, toldInstead: (instead: NotNew) => void = () => {}): AcceptRequest {
  return {
    ...cancelJob,
    onAccepted: (task) => {
      trail.append({ kind: 'request', action: cancelJob.operation, decision: 'allowed', task });
      return toldInstead;
    },
  };
}

async function records() {
  return (await store.readOn(null, '0-0', 10_000)).map(({ text }) => parseLine(text));
}

const key = { idempotencyKey: 'k', fingerprint: 'f' };

it.each([
  ['', {}],
  [' with a key', key],
])('a task%s that is kept has the record of its request, although the API never hears of it', async (_, keyed) => {
  const trail = openTrail('api-1');
  const { accept } = tasks.store;
  vi.spyOn(tasks.store, 'accept').mockImplementation((task) => {
    accept(task).catch(() => undefined);
    return new Promise(() => {}); // a process that is killed before the answer comes
  });
  void tasks.gate.accept({ ...recorded(trail), ...keyed });
  const [id] = await eventually(async () => {
    const open = await tasks.store.listOpen('batch@lab', Date.now() + 1, 0, 10);
    expect(open).toHaveLength(1);
    return open;
  });
  // It went before the accept, on the same connection.
  expect(await records()).toContainEqual(expect.objectContaining({ kind: 'request', decision: 'allowed', task: id }));
});

it('of a task for which there was no room, or that repeats another, what came of it is told once', async () => {
  const told: NotNew[] = [];
  const request = recorded(openTrail('api-1'), (instead) => told.push(instead));
  for (let count = 0; count < 50; count += 1) await tasks.gate.accept(request);
  expect(told).toEqual([]);
  const refusal: unknown = await tasks.gate.accept(request).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'UserQueueFull' });
  expect(told.splice(0)).toEqual([{ error: refusal, mayBeKept: false }]);
  const asBob = { ...request, ...key, principal: bob };
  const { id } = await tasks.gate.accept(asBob);
  expect(told).toEqual([]);
  expect(await tasks.gate.accept(asBob)).toEqual({ id, isReplay: true });
  expect(told.splice(0)).toEqual([{ earlierId: id }]);
  const mismatch: unknown = await tasks.gate.accept({ ...asBob, fingerprint: 'g' }).catch((error: unknown) => error);
  expect(mismatch).toMatchObject({ code: 'IdempotencyMismatch' });
  expect(told).toEqual([{ error: mismatch, mayBeKept: false }]);
});

it.each([
  ['', {}, 'OutcomeUnknown'],
  [' with a key', key, 'StoreUnavailable'],
])(
  'of an accept%s that Redis does and does not answer it is told that the task may be kept',
  async (_, keyed, code) => {
    const told = vi.fn<(instead: NotNew) => void>();
    const named = vi.fn<(id: string) => void>();
    const request = {
      ...cancelJob,
      onAccepted: (id: string) => {
        named(id);
        return told;
      },
    };
    await tasks.gate.accept(request); // Redis knows the script from now on
    tasks.redis.call('CLIENT', 'REPLY', 'OFF').catch(() => undefined);
    const answer = tasks.gate.accept({ ...request, ...keyed }).catch((error: unknown) => error);
    const id = named.mock.lastCall?.[0];
    await eventually(async () => expect(await witness.exists(`${tasks.keyPrefix}:task:${id}`)).toBe(1));
    tasks.redis.disconnect();
    const error: unknown = await answer;
    expect(error).toMatchObject({ code });
    expect(told.mock.calls).toEqual([[{ error, mayBeKept: true }]]);
    await tasks.redis.connect();
  },
);

it('chains stay whole, and every change has its records, where many are accepted, begun early and ended at once', async () => {
  const [api, worker] = [openTrail('api-1'), openTrail('worker-1')];
  const perform = vi.fn(async (_operation: unknown, { claimed }: { claimed: Promise<void> }) => {
    await claimed;
    return { jobId: '1' };
  });
  await tasks.consume(tasks.runner(perform, 3, { trail: worker }));
  const outcomes = [];
  for (let round = 0; round < 5; round += 1) {
    outcomes.push(
      ...(await Promise.all(Array.from({ length: 40 }, () => tasks.gate.acceptAndWait(recorded(api), never())))),
    );
  }
  expect(new Set(outcomes.map(({ state }) => state))).toEqual(new Set(['completed']));
  expect(perform).toHaveBeenCalledTimes(200);
  const told = (await records()).filter(({ task }) => task !== null).map(({ task, kind }) => `${task} ${kind}`);
  // An end is heard of when it is written, and its record is written with it.
  expect(told.sort()).toEqual(outcomes.flatMap(({ id }) => [`${id} request`, `${id} task`]).sort());
  await Promise.all(trails.splice(0).map((trail) => trail.close()));
  const lines = (await store.readOn(null, '0-0', 10_000)).map(({ id, text }) => ({ place: id, text }));
  const { problems, chains } = verifyLines(lines, { key: null, heads: await store.heads(), mayBeginLate: false });
  expect(problems).toEqual([]);
  expect(chains.map(({ writer, isClosed }) => [writer, isClosed]).sort()).toEqual([
    ['api-1', true],
    ['worker-1', true],
  ]);
});

it('a change whose worker is lost between its claim and its end is recorded by who takes it over', async () => {
  const { id } = await tasks.gate.accept(recorded(openTrail('api-1')));
  const ticket = { id, fence: 0, isMutation: true };
  const record = (await tasks.store.peek(id)) ?? undefined;
  const lost = tasks.runner(() => new Promise(() => {}), 3, { trail: openTrail('worker-lost') });
  const taking = {
    send: async () => {},
    isOurs: Promise.resolve(true),
    lock: { key: `${tasks.keyPrefix}:l`, token: 't' },
  };
  await tasks.redis.set(taking.lock.key, taking.lock.token);
  void lost.run(ticket, 'entry', record === undefined ? { taking } : { record, taking });
  await eventually(async () => expect((await tasks.store.read(id))?.state).toBe('active'));
  const other = tasks.runner(async () => ({ jobId: '1' }), 3, { trail: openTrail('worker-2') });
  await other.run(ticket, 'entry'); // delivered again
  const ofTask = (await records()).filter(({ task }) => task === id);
  expect(ofTask.map(({ writer, kind, decision }) => [writer, kind, decision])).toEqual([
    ['api-1', 'request', 'allowed'],
    ['worker-2', 'task', 'taken over'],
    ['worker-2', 'task', 'completed'],
  ]);
});
