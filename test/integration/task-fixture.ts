/** A store, a gate and a runner over the lab's Redis, each test file under a key prefix of its own. */
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { createHandOver, type HandOver } from '../../api/tasks/hand-over.ts';
import { watchStoreRoom } from '../../api/tasks/store-room.ts';
import { createTaskGate, type TaskGate } from '../../api/tasks/task-gate.ts';
import { createWaiters } from '../../api/tasks/waiters.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { createJobNumbers } from '../../shared/platform/job-numbers.ts';
import { createQueueAdder, type QueueAdder } from '../../shared/platform/queues.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import {
  createTaskStore,
  type NewTask,
  type TaskStore,
  type TaskStoreSettings,
} from '../../shared/platform/task-store.ts';
import { type Cancellations, createCancellations } from '../../workers/runtime/cancellations.ts';
import { type Consumer, startConsumer } from '../../workers/runtime/consumer.ts';
import { createGlances, type Glances } from '../../workers/runtime/glances.ts';
import { openInternalPort } from '../../workers/runtime/internal-port.ts';
import { sweepOrphans } from '../../workers/runtime/orphans.ts';
import { createPlaces } from '../../workers/runtime/places.ts';
import { createResultPort } from '../../workers/runtime/result-port.ts';
import { type SweeperDependencies, sweep } from '../../workers/runtime/sweeper.ts';
import {
  type Attempt,
  createTaskRunner,
  type TaskRunner,
  type TaskRunnerDependencies,
} from '../../workers/runtime/task-runner.ts';

export const silent = pino({ level: 'silent' });
export const queue = 'interactive@lab';
export const alice = { issuer: 'https://issuer.test', subject: 'alice', username: 'gcalice', client: null };
export const bob = { issuer: 'https://issuer.test', subject: 'bob', username: 'gcbob', client: null };
/** A held request of alice's for filesystem.stat, for the gate. */
export const statRequest = {
  operation: 'filesystem.stat' as const,
  system: 'lab',
  principal: alice,
  input: { path: '/home/gcalice', dereference: false },
  isHeld: true,
  holdMs: 20_000,
  requestId: 'r',
};
/** A result that fits filesystem.stat. */
export const statResult = {
  mode: 33188,
  ino: 1,
  dev: 2,
  nlink: 1,
  uid: 3,
  gid: 4,
  size: 5,
  atime: 6,
  ctime: 7,
  mtime: 8,
};

/** Who claims, for `store.claim`. */
export function by(entryId: string, worker: string) {
  return { entryId, worker, startedAt: Date.now(), claimId: randomUUID() };
}

export interface TaskFixture {
  redis: Redis;
  store: TaskStore;
  queues: QueueAdder;
  gate: TaskGate;
  /** Only in use where the fixture was asked to hand over. */
  handOver: HandOver;
  /** The connection on which consumers hear of cancellations and of what they are handed. */
  subscriber: Redis;
  keyPrefix: string;
  cancellations: Cancellations;
  glances: Glances;
  /** A task for `store.accept`, with an id of its own. */
  newTask(over?: Partial<NewTask>): NewTask;
  /** A runner whose operations do what `perform` does. */
  runner(
    perform: (operation: Operation, attempt: Attempt) => Promise<unknown>,
    attemptsMax?: number,
    over?: Partial<Pick<TaskRunnerDependencies, 'stillAllowed' | 'askEveryMs' | 'trail'>>,
  ): TaskRunner;
  /** Reads the queue with a runner; stops with the fixture. */
  consume(runner: TaskRunner, concurrency?: number): Promise<Consumer>;
  sweep(now: number): Promise<number>;
  sweepOrphans(now: number): Promise<number>;
  close(): Promise<void>;
}

/** `handsOver`: entries are taken for consumers that have room, as the API does; otherwise these take them themselves. */
export async function openTasks(
  redisUrl: string,
  over: Partial<TaskStoreSettings> = {},
  { handsOver = false } = {},
): Promise<TaskFixture> {
  const keyPrefix = `test-${randomUUID()}`;
  const settings: TaskStoreSettings = {
    keyPrefix,
    openPerUserMax: 1_000,
    openPerQueueMax: 10_000,
    openPerSystemMax: 20_000,
    admittedPerUserMax: 32,
    keepMs: 60_000,
    ...over,
  };
  const redis = connectRedis(redisUrl, 'persist', silent);
  const replies = connectRedis(redisUrl, 'persist', silent);
  const cancels = connectRedis(redisUrl, 'persist', silent);
  const store = createTaskStore(redis, settings);
  const handOver = createHandOver(redis, replies, keyPrefix);
  const queues = createQueueAdder(redis, keyPrefix, handsOver ? handOver.send : undefined);
  const instance = randomUUID();
  const waiters = createWaiters(replies, store, { keyPrefix, instance, log: silent });
  const room = watchStoreRoom(redis, silent);
  const dayMs = 86_400_000;
  const consentLives = { task: 30 * dayMs, chain: 30 * dayMs, transfer: 30 * dayMs };
  const gateSettings = { ...settings, heldReadKeepMs: 60_000, movesPerUserMax: 2, consentLives };
  const gate = createTaskGate({
    policy: 'builtin',
    store,
    queues,
    waiters,
    room,
    instance,
    jobNumbers: createJobNumbers(redis, keyPrefix),
    settings: gateSettings,
  });
  const cancellations = createCancellations(cancels, keyPrefix, silent);
  const glances = createGlances({ store, queues, log: silent });
  const port = await openInternalPort({ host: '127.0.0.1', port: 0, url: null, log: silent });
  const consumers: Consumer[] = [];
  const sweeping: SweeperDependencies = {
    ...{
      store,
      queues,
      redis,
      keyPrefix,
      queueNames: [queue, 'batch@lab'],
      knownQueues: new Set([queue, 'batch@lab']),
      worker: 'sweeper',
      log: silent,
    },
  };
  return {
    redis,
    store,
    queues,
    gate,
    handOver,
    subscriber: cancels,
    keyPrefix,
    cancellations,
    glances,
    newTask: (change = {}) => ({
      id: randomUUID(),
      operation: 'filesystem.stat',
      system: 'lab',
      queue,
      owner: 'alice',
      principal: JSON.stringify(alice),
      input: JSON.stringify({ path: '/home/gcalice', dereference: false }),
      createdAt: Date.now(),
      deadlineAt: Date.now() + 60_000,
      replyTo: '',
      isHeld: false,
      isIndexed: true,
      keepMs: 60_000,
      requestId: 'r',
      entryId: '',
      ...change,
    }),
    runner: (perform, attemptsMax = 3, over = {}) =>
      createTaskRunner({
        ...{ stillAllowed: async () => null, askEveryMs: null },
        ...{
          store,
          queues,
          cancellations,
          glances,
          perform,
          worker: 'w',
          attemptsMax,
          resultBytesMax: 100_000,
          log: silent,
        },
        heldResultBytesMax: 1_000_000,
        results: createResultPort(port, 60_000),
        trail: { append: () => 0, requireWritable: () => {} },
        ...over,
      }),
    async consume(runner, concurrency = 8) {
      const consumer = startConsumer({
        ...{
          queues: [queue, 'batch@lab'],
          concurrencyPerQueue: concurrency,
          places: createPlaces(),
          keyPrefix,
          redis,
          runner,
          log: silent,
          ...(handsOver ? { takes: { worker: randomUUID(), subscriber: cancels } } : {}),
        },
      });
      consumers.push(consumer);
      await consumer.ready();
      return consumer;
    },
    sweep: (now) => sweep(sweeping, now),
    sweepOrphans: (now) => sweepOrphans(sweeping, now),
    async close() {
      await Promise.all([glances.stop(), ...consumers.map((consumer) => consumer.stop())]);
      waiters.close();
      room.close();
      await port.close();
      await queues.close();
      const keys = await redis.keys(`${keyPrefix}:*`);
      if (keys.length > 0) await redis.del(...keys);
      await Promise.all([redis, replies, cancels].map((connection) => connection.quit()));
    },
  };
}
