import { setMaxListeners } from 'node:events';
import { Queue, Worker } from 'bullmq';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import type { WishedChain } from '../../api/tasks/place-chain.ts';
import type { AcceptRequest, Outcome } from '../../api/tasks/task-gate.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type Handed, handChannel, handedOf } from '../../shared/platform/hand-over.ts';
import { queuePrefix } from '../../shared/platform/queues.ts';
import { openHandedEntries } from '../../workers/runtime/handed-entries.ts';
import type { Attempt } from '../../workers/runtime/task-runner.ts';
import { eventually } from '../eventually.ts';
import { type DeafWorker, type DeafWorkerOptions, startDeafWorker } from './deaf-worker.ts';
import { alice, by, openTasks, silent, statRequest, statResult, type TaskFixture } from './task-fixture.ts';

const batch = 'batch@lab';
const never = new AbortController().signal;
setMaxListeners(0, never);
/** A change that begins with its claim. */
const change: AcceptRequest = { ...statRequest, operation: 'compute.cancel-job', input: { jobId: '1' } };

let tasks: TaskFixture;
let deaf: DeafWorker | undefined;

beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url, {}, { handsOver: true });
});
afterEach(async () => {
  await deaf?.close();
  deaf = undefined;
  await tasks.close();
});

async function beDeaf(over: Partial<DeafWorkerOptions> = {}): Promise<DeafWorker> {
  const { redis, keyPrefix } = tasks;
  const options = { redisUrl: inject('lab').redis.url, redis, keyPrefix, queues: [batch], ...over };
  const started = await startDeafWorker(options);
  deaf = started;
  await eventually(async () => {
    await started.tell();
    expect(tasks.handOver.hasTaker(batch)).toBe(true);
  });
  return started;
}

async function consumeHanded(perform: (attempt: Attempt) => Promise<unknown>): Promise<void> {
  await tasks.consume(tasks.runner((_operation, attempt) => perform(attempt)));
  await eventually(() => expect(tasks.handOver.hasTaker(batch)).toBe(true));
}

/** Does what a change does: nothing before it is claimed, nor where its attempt was given up. */
async function countChange({ task, claimed, signal }: Attempt, changed: string[]): Promise<{ jobId: string }> {
  await claimed;
  signal.throwIfAborted();
  changed.push(task.id);
  return { jobId: '1' };
}

const entryIds = (list: string): Promise<string[]> =>
  tasks.redis.lrange(`${queuePrefix(tasks.keyPrefix)}:${batch}:${list}`, 0, -1);

/** Says in which list the entry of a request stands that was sent, and which task it is of. */
async function placed(list: 'wait' | 'active'): Promise<string> {
  return eventually(async () => {
    const [entry] = await entryIds(list);
    expect(entry).toBeDefined();
    return (entry ?? '').split('.')[0] ?? '';
  });
}

function isEmpty(): Promise<void> {
  return eventually(async () => expect([await entryIds('wait'), await entryIds('active')]).toEqual([[], []]));
}

describe('a task that is handed to a worker', () => {
  it('leaves in Redis what an entry leaves that BullMQ added and took, and names its worker', async () => {
    const { token, worker, messages } = await beDeaf();
    const bull = { connection: tasks.redis, prefix: queuePrefix(tasks.keyPrefix) };
    const usual = new Queue('usual', { ...bull, streams: { events: { maxLen: 100 } } });
    const taker = new Worker('usual', null, { ...bull, lockDuration: 10_000 });
    void tasks.gate.acceptAndWait({ ...change, holdMs: 1 }, never);
    const id = await placed('active');
    const data = { tasks: [{ id, fence: 0, isMutation: true }] };
    const options = { attempts: 1, removeOnComplete: true, removeOnFail: true, jobId: `${id}.0` };
    await usual.add('tasks', data, options);
    await taker.getNextJob(token, { block: false });

    const standing = async (name: string) => {
      const entry = `${queuePrefix(tasks.keyPrefix)}:${name}:${id}.0`;
      const { opts, data: stored, timestamp, processedOn, ...rest } = await tasks.redis.hgetall(entry);
      expect(Number(processedOn)).toBeGreaterThanOrEqual(Number(timestamp));
      const lockLeftMs = await tasks.redis.pttl(`${entry}:lock`);
      expect(lockLeftMs).toBeGreaterThan(0);
      expect(lockLeftMs).toBeLessThanOrEqual(10_000);
      return {
        ...{ rest, opts: JSON.parse(opts ?? ''), data: JSON.parse(stored ?? '') },
        lock: await tasks.redis.get(`${entry}:lock`),
        lists: await Promise.all(
          ['active', 'wait'].map((list) =>
            tasks.redis.lrange(`${queuePrefix(tasks.keyPrefix)}:${name}:${list}`, 0, -1),
          ),
        ),
      };
    };
    expect(await standing(batch)).toEqual(await standing('usual'));
    // Nobody is woken for it.
    expect(await tasks.redis.exists(`${queuePrefix(tasks.keyPrefix)}:${batch}:marker`)).toBe(0);
    expect(await tasks.store.read(id)).toMatchObject({ state: 'active', fence: 1, attempt: 1, entryId: `${id}.0` });
    expect(handedOf(messages[0] ?? '')).toMatchObject({ queue: batch, entryId: `${id}.0`, record: { task: { id } } });
    expect(await tasks.redis.hget(`${tasks.keyPrefix}:task:${id}`, 'worker')).toBe(worker);
    await Promise.all([taker.close(), usual.close()]);
  });

  it.each([
    ['a change, which is claimed with it', change, 0],
    ['a read, which is claimed with its end', statRequest, 0],
  ])('is run once, without a look at the queue: %s', async (_what, request, claims) => {
    const performed: string[] = [];
    const claim = vi.spyOn(tasks.store, 'claim');
    const peek = vi.spyOn(tasks.store, 'peek');
    await consumeHanded(async ({ task, claimed }) => {
      await claimed;
      performed.push(task.id);
      return request === change ? { jobId: '1' } : statResult;
    });
    for (let n = 0; n < 20; n += 1) {
      const { id, state } = await tasks.gate.acceptAndWait(request, never);
      expect(state).toBe('completed');
      // A read is answered a moment before its end is stored.
      const ended = async () => {
        const task = await tasks.store.read(id);
        expect(task?.state).toBe('completed');
        return task;
      };
      const { timeline, fence } = (await (request === change ? ended() : eventually(ended))) ?? {};
      expect(timeline?.map((step) => step.state)).toEqual(['pending', 'active', 'completed']);
      expect(fence).toBe(1);
    }
    expect(new Set(performed).size).toBe(20);
    expect(performed).toHaveLength(20);
    expect([claim.mock.calls.length, peek.mock.calls.length]).toEqual([claims, 0]);
    await isEmpty();
  });

  it('is handed to each of several workers in turn, and runs once', async () => {
    const performed: string[][] = [[], []];
    for (const ran of performed) await consumeHanded((attempt) => countChange(attempt, ran));
    await eventually(async () => {
      await tasks.gate.acceptAndWait(change, never);
      expect(performed.every((ran) => ran.length > 3)).toBe(true);
    });
    const all = performed.flat();
    expect(new Set(all).size).toBe(all.length);
    await isEmpty();
  });

  it('is canceled by a wish that comes at once, before it begins and while it runs', async () => {
    const { messages } = await beDeaf();
    void tasks.gate.acceptAndWait({ ...change, holdMs: 1 }, never);
    await eventually(() => expect(messages).toHaveLength(1));
    const { record, claimed, entryId } = handedOf(messages[0] ?? '') ?? {};
    const id = record?.task.id ?? '';
    await tasks.store.requestCancel(id);
    await eventually(() => expect(tasks.cancellations.wasHeard(id)).toBe(true));
    const perform = vi.fn(async () => ({ jobId: '1' }));
    const taking = { send: async () => {}, isOurs: Promise.resolve(true), lock: { key: 'k', token: 't' } };
    const early = { taking, ...(record && { record }), ...(claimed && { claimed }) };
    await tasks.runner(perform).run({ id, fence: 0, isMutation: true }, entryId ?? '', early);
    expect(perform).not.toHaveBeenCalled();
    expect(await tasks.store.read(id)).toMatchObject({ state: 'canceled' });
    await deaf?.leave();

    await consumeHanded(
      ({ signal, task }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          void tasks.store.requestCancel(task.id);
        }),
    );
    expect(await tasks.gate.acceptAndWait(change, never)).toMatchObject({ state: 'canceled' });
  });

  it('comes back as stalled and is taken over where its worker never heard of it', async () => {
    await beDeaf({ lockMs: 1_000 });
    const held = tasks.gate.acceptAndWait(change, never);
    const id = await placed('active');
    await deaf?.leave();
    const attempts: number[] = [];
    const took = tasks.runner(async (_operation, { task }) => attempts.push(task.attempt) && { jobId: '1' });
    await tasks.consume(took);
    expect(await held).toMatchObject({ id, state: 'completed' });
    expect(attempts).toEqual([2]);
    expect(await tasks.store.read(id)).toMatchObject({ fence: 2, attempt: 2 });
    await isEmpty();
  });

  it('is handed over beside any number that wait for their time or are laid by', async () => {
    const { messages } = await beDeaf();
    const laterMs = 3_600_000;
    for (let n = 0; n < 3; n += 1) {
      await tasks.gate.accept({ ...change, isHeld: false, startAt: Date.now() + laterMs });
      const parked = tasks.newTask({ queue: batch });
      await tasks.store.accept(parked);
      const claim = await tasks.store.claim({ id: parked.id, fence: 0 }, by(`e${n}`, 'w'));
      const fence = claim.outcome === 'claimed' ? claim.fence : expect.unreachable(claim.outcome);
      const place = n === 0 ? 'aside' : 'kept';
      const laid = await tasks.store.park(parked.id, fence, { place, notBeforeAt: Date.now() + laterMs });
      const ticket = laid.outcome === 'parked' ? laid.ticket : null;
      await tasks.queues.add(batch, ticket ?? expect.unreachable(laid.outcome), laterMs).done;
    }
    void tasks.gate.acceptAndWait({ ...change, holdMs: 1 }, never);
    await placed('active');
    await eventually(() => expect(messages).toHaveLength(1));
  });

  it('is given back by a worker that stops before it begins', async () => {
    const { messages } = await beDeaf();
    void tasks.gate.acceptAndWait({ ...change, holdMs: 1 }, never);
    await eventually(() => expect(messages).toHaveLength(1));
    const { record, claimed, entryId } = handedOf(messages[0] ?? '') ?? {};
    const id = record?.task.id ?? '';
    tasks.cancellations.stop(new BrokerError('ShuttingDown', 'The worker is shutting down.'));
    const perform = vi.fn(async () => ({ jobId: '1' }));
    const taking = { send: async () => {}, isOurs: Promise.resolve(true), lock: { key: 'k', token: 't' } };
    const early = { taking, ...(record && { record }), ...(claimed && { claimed }) };
    await tasks.runner(perform).run({ id, fence: 0, isMutation: true }, entryId ?? '', early);
    expect(perform).not.toHaveBeenCalled();
    expect(await tasks.store.read(id)).toMatchObject({ state: 'pending', handBacks: 1, fence: 1 });
    expect(await entryIds('wait')).toEqual([`${id}.1`]);
  });
});

describe('a worker to which tasks are handed', () => {
  it('works off what came until it left, and another goes on: no task is lost or run twice', async () => {
    const performed: string[] = [];
    const runner = tasks.runner((_operation, attempt) => countChange(attempt, performed));
    const first = await tasks.consume(runner);
    await eventually(() => expect(tasks.handOver.hasTaker(batch)).toBe(true));
    const held: Promise<Outcome>[] = [];
    for (let n = 0; n < 30; n += 1) {
      if (n === 10) void first.stop();
      if (n === 20) await tasks.consume(runner);
      const answer = tasks.gate.acceptAndWait(change, never);
      held.push(answer);
      if (n < 10 || n >= 20) await answer;
    }
    const outcomes = await Promise.all(held);
    expect(outcomes.map(({ state }) => state)).toEqual(outcomes.map(() => 'completed'));
    expect(performed.sort()).toEqual(outcomes.map(({ id }) => id).sort());
    await isEmpty();
  });

  it('is handed tasks again after its connection was lost, and none before it hears', async () => {
    const claim = vi.spyOn(tasks.store, 'claim');
    await consumeHanded(async () => ({ jobId: '1' }));
    tasks.subscriber.disconnect(true);
    expect(await tasks.gate.acceptAndWait(change, never)).toMatchObject({ state: 'completed' });
    await eventually(async () => {
      claim.mockClear();
      expect(await tasks.gate.acceptAndWait(change, never)).toMatchObject({ state: 'completed' });
      expect(claim).not.toHaveBeenCalled();
    });
  });
});

describe('a message that hands a task over', () => {
  it('is left alone where it may be older than its lock, and where it cannot be read', async () => {
    const { messages } = await beDeaf();
    void tasks.gate.acceptAndWait({ ...change, holdMs: 1 }, never);
    await eventually(() => expect(messages).toHaveLength(1));
    const [message = ''] = messages;
    const taken: string[] = [];
    const worker = { handedToken: 't', concurrency: 1, takeHanded: (handed: Handed) => taken.push(handed.entryId) };
    const { redis, subscriber, keyPrefix } = tasks;
    const entries = openHandedEntries({
      ...{ worker: 'w', lockMs: 10_000, redis, subscriber, keyPrefix, log: silent },
      workers: new Map([[batch, worker]]),
    });
    await entries.begin();
    const tell = async (text: string): Promise<void> => {
      await redis.publish(handChannel(keyPrefix, 'w'), text);
      await subscriber.ping(); // what was published has been heard
    };
    await eventually(async () => {
      await tell(message);
      expect(taken).toHaveLength(1);
    });
    for (const bad of ['[', '[]', '["batch@lab", "e", [], 1, []]', message.replace('"principal"', '"nobody"')])
      await tell(bad);
    const now = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now + 60_000);
    await tell(message);
    clock.mockRestore();
    expect(taken.length).toBe(1);
    await entries.leave();
  });
});

describe('a task goes its usual way', () => {
  const stepOf = (jobId: string): WishedChain['steps'][number] => ({
    ...{ name: `s${jobId.length}`, operation: 'compute.cancel-job', system: 'lab', input: { jobId } },
  });
  const queueOf = (): Queue => new Queue(batch, { connection: tasks.redis, prefix: queuePrefix(tasks.keyPrefix) });
  const withQueue = async (work: (queue: Queue) => Promise<unknown>): Promise<void> => {
    const queue = queueOf();
    await work(queue);
    await queue.close();
  };

  it.each<[string, () => Promise<unknown>]>([
    ['where the worker has left its channel', async () => deaf?.leave()],
    ['where another entry waits', () => withQueue((queue) => queue.add('tasks', { tasks: [] }, { jobId: 'first' }))],
    [
      'where a delayed entry is due',
      () => withQueue((queue) => queue.add('tasks', { tasks: [] }, { jobId: 'due', delay: 1 })),
    ],
    ['where the queue is paused', () => withQueue((queue) => queue.pause())],
    ['where the queue has a bound on what is active', () => withQueue((queue) => queue.setGlobalConcurrency(9))],
    [
      'where more tasks are open',
      async () => {
        for (let n = 0; n < 2; n += 1) await tasks.store.accept(tasks.newTask({ queue: batch }));
      },
    ],
    [
      'where more tasks are open, though canceled ones have left delayed entries',
      async () => {
        for (let n = 0; n < 5; n += 1) {
          const later = { ...change, isHeld: false, startAt: Date.now() + 3_600_000 };
          const { id } = await tasks.gate.accept(later);
          await tasks.gate.cancel(id, alice);
        }
        for (let n = 0; n < 2; n += 1) await tasks.store.accept(tasks.newTask({ queue: batch }));
      },
    ],
    ['where the worker has no room', () => tasks.redis.lpush(`${queuePrefix(tasks.keyPrefix)}:${batch}:active`, 'one')],
  ])('%s', async (_where, prepare) => {
    await beDeaf({ activeMax: 1 });
    await prepare();
    const { id } = await tasks.gate.acceptAndWait({ ...change, holdMs: 20 }, never);
    await eventually(async () => expect(await entryIds('wait')).toContain(`${id}.0`));
    expect(await entryIds('active')).not.toContain(`${id}.0`);
    expect(await tasks.store.read(id)).toMatchObject({ state: 'pending', fence: 0, attempt: 0 });
    expect(deaf?.messages).toEqual([]);
  });

  it.each<[string, Partial<AcceptRequest>, number]>([
    ['that must wait for its turn, or was refused for want of room', {}, 1],
    ['that repeats an earlier one', { idempotencyKey: 'k', fingerprint: 'f' }, 1],
    ['whose task begins later', { startAt: Date.now() + 3_600_000 }, 0],
    ['whose task is large', { input: { jobId: 'x'.repeat(70_000) } }, 0],
    ['whose later steps are large', { chain: { at: 0, steps: [stepOf('1'), stepOf('x'.repeat(70_000))] } }, 0],
    ['of which nobody can tell whether it was done', { operation: 'compute.modify-job' }, 0],
  ])('of a request %s', async (_which, over, handed) => {
    await tasks.close();
    tasks = await openTasks(inject('lab').redis.url, { admittedPerUserMax: 1, openPerUserMax: 6 }, { handsOver: true });
    const { messages } = await beDeaf();
    let refused = 0;
    for (let n = 0; n < 8; n += 1) {
      await tasks.gate.acceptAndWait({ ...change, holdMs: 1, ...over }, never).catch((error: BrokerError) => {
        expect(error.code).toBe('UserQueueFull');
        refused += 1;
      });
    }
    expect(refused).toBe('idempotencyKey' in over ? 0 : 2);
    await tasks.redis.ping();
    await eventually(() => expect(messages).toHaveLength(handed));
    expect(await entryIds('active')).toHaveLength(handed);
    const open = await tasks.store.listOpen(batch, Date.now() + 1, 0, 100);
    const states = await Promise.all(open.map(async (id) => (await tasks.store.read(id))?.state));
    expect(states.filter((state) => state === 'active')).toHaveLength(handed);
  });
});
