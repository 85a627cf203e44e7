/** Takes entries from the queues, one BullMQ worker a queue, and stops without losing any. */
import type { Job } from 'bullmq';
import type { Logger } from 'pino';
import { laneOf, type QueueEntry, queuePrefix } from '../../shared/platform/queues.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import { type EarlyTicket, EarlyWorker, prepareEarly } from './early-worker.ts';
import { openHandedEntries } from './handed-entries.ts';
import { type Places, placelessMax } from './places.ts';
import type { TaskRunner } from './task-runner.ts';

/** A killed worker's entries are seen as stalled after at most `lockMs + stalledCheckMs`. */
const lockMs = 10_000;
const stalledCheckMs = 5_000;
/** Times an entry may stall before BullMQ drops it; the sweeper then looks after its task. */
const stallsMax = 3;

/** Records that are older are read again: the task waited for a place. */
const freshMs = 250;

export interface ConsumerOptions {
  queues: readonly string[];
  concurrencyPerQueue: number;
  places: Places;
  keyPrefix: string;
  /** The `persist` connection of the task store, so that a claim follows the taking; each queue adds a blocking one of its own. */
  redis: Redis;
  runner: TaskRunner;
  /** Who this worker is for an API that takes entries for it, and the connection on which it hears of them; left out: none does. */
  takes?: { worker: string; subscriber: Redis };
  log: Logger;
}

export interface Consumer {
  /** Resolves when every queue is being read. */
  ready(): Promise<void>;
  /** Takes no more entries and resolves when those taken are done. */
  stop(): Promise<void>;
  /** Closes without waiting; entries still held come back to other workers as stalled. */
  abandon(): Promise<void>;
}

/** Whether tasks of the queue share answers, and wait for them without a place. */
function isSharing(queue: string): boolean {
  return laneOf(queue) === 'batch';
}

export function startConsumer(options: ConsumerOptions): Consumer {
  prepareEarly(options.redis);
  const workers = options.queues.map((name) => {
    const gate = options.places.gate(options.concurrencyPerQueue);
    const runTasks = async (job: Job<QueueEntry>): Promise<void> => {
      const runs = await Promise.allSettled(
        job.data.tasks.map(
          (ticket) =>
            worker.begunRun(job, ticket.id) ?? gate(ticket.id, () => options.runner.run(ticket, job.id ?? '')),
        ),
      );
      await worker.lull();
      const failed = runs.find((run) => run.status === 'rejected');
      if (failed) throw failed.reason;
    };
    const begin = (early: EarlyTicket): Promise<void> | undefined => {
      const { record, taking, claimed } = early;
      if (claimed === undefined && !options.runner.mayBeginEarly(early.ticket, record)) return undefined;
      const at = performance.now();
      const run = gate(early.ticket.id, () => {
        const isFresh = performance.now() - at < freshMs;
        const known = { ...(isFresh ? { record } : {}), ...(claimed === undefined ? {} : { claimed }) };
        return options.runner.run(early.ticket, early.entryId, { taking, ...known });
      });
      run.catch(() => undefined); // told by the entry, where this worker has got it
      return run;
    };
    const { keyPrefix, redis } = options;
    const worker = new EarlyWorker({ keyPrefix, redis, begin }, name, runTasks, {
      autorun: false,
      connection: options.redis,
      prefix: queuePrefix(options.keyPrefix),
      // More entries than places: those of tasks that gave theirs up are still held.
      concurrency: options.concurrencyPerQueue + (isSharing(name) ? placelessMax : 0),
      lockDuration: lockMs,
      stalledInterval: stalledCheckMs,
      maxStalledCount: stallsMax,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    worker.on('error', (error) => options.log.debug({ err: error, queue: name }, 'queue connection'));
    worker.on('failed', (job, error) =>
      options.log.error({ err: error, tasks: job?.data.tasks }, 'queue entry failed'),
    );
    worker.on('stalled', (entry) => options.log.warn({ entry, queue: name }, 'queue entry stalled'));
    worker.run().catch((error: unknown) => options.log.error({ err: error, queue: name }, 'queue is not read'));
    return worker;
  });
  const { takes, keyPrefix, redis, log } = options;
  const byQueue = new Map(workers.map((worker) => [worker.name, worker]));
  const handed = takes && openHandedEntries({ ...takes, lockMs, keyPrefix, redis, workers: byQueue, log });
  return {
    async ready() {
      await Promise.all(workers.map((worker) => worker.waitUntilReady()));
      await handed?.begin();
    },
    async stop() {
      // First: what was taken for this worker until then is worked off like the rest.
      await handed?.leave();
      await Promise.all(workers.map((worker) => worker.close()));
    },
    async abandon() {
      handed?.abandon();
      await Promise.all(workers.map((worker) => worker.close(true)));
    },
  };
}
