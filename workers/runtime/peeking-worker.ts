/**
 * A BullMQ worker that reads the records of an entry's tasks in the write that takes the entry, where it was idle before:
 * each of the two would be a round trip to Redis, and one that waits for its turn behind the other.
 */
import { type Job, Worker } from 'bullmq';
import { peekTakenScript } from '../../shared/platform/peek-scripts.ts';
import type { QueueEntry } from '../../shared/platform/queues.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import { type Peeked, type PeekedFields, peekedOf } from '../../shared/platform/task-answers.ts';

interface PeekingRedis {
  gcPeekTaken(...keysAndArgs: string[]): Promise<[entryId?: string, ...tasks: PeekedFields[]]>;
}

/** Records that are older are read again: the entry waited for a place. */
const freshMs = 250;

interface Taken {
  at: number;
  records: ReadonlyMap<string, Peeked>;
}

/** Teaches the connection the script; once for each connection. */
export function preparePeeking(redis: Redis): void {
  redis.defineCommand('gcPeekTaken', { numberOfKeys: 1, lua: peekTakenScript });
}

export class PeekingWorker extends Worker<QueueEntry> {
  readonly #taken = new WeakMap<object, Taken>();
  readonly #redis: PeekingRedis;
  readonly #keyPrefix: string;
  /** Nothing was there at the last look, so what comes next is one entry, and it is waited for. */
  #isIdle = true;

  constructor(
    keyPrefix: string,
    redis: Redis,
    ...[name, process, options]: ConstructorParameters<typeof Worker<QueueEntry>>
  ) {
    super(name, process, options);
    this.#keyPrefix = keyPrefix;
    this.#redis = redis as unknown as PeekingRedis;
    this.on('drained', () => {
      this.#isIdle = true;
    });
  }

  /** What was read of a task along with its entry; undefined where that was not done, or is not true any more. */
  recordOf(job: object, taskId: string): Peeked | undefined {
    const taken = this.#taken.get(job);
    return taken !== undefined && performance.now() - taken.at < freshMs ? taken.records.get(taskId) : undefined;
  }

  protected override async moveToActive(
    ...args: Parameters<Worker<QueueEntry>['moveToActive']>
  ): Promise<Job<QueueEntry>> {
    const wasIdle = this.#isIdle;
    this.#isIdle = false;
    const taking = super.moveToActive(...args);
    const peeking = wasIdle ? this.#peek() : null;
    const job = (await taking) as Job<QueueEntry> | undefined;
    if (job === undefined) this.#isIdle = true;
    const peeked = await peeking;
    // Under a load another worker's entry may have come between: then the records are those of that one.
    if (job !== undefined && peeked !== null && job.id === peeked.entryId) this.#taken.set(job, peeked);
    return job as Job<QueueEntry>;
  }

  /** Null where it failed: the records are read again then, one by one. */
  async #peek(): Promise<(Taken & { entryId: string }) | null> {
    // BullMQ sends its command after some promises; the tick queue runs behind these, and before the turn's write.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const at = performance.now();
    try {
      const [entryId = '', ...tasks] = await this.#redis.gcPeekTaken(
        this.toKey('active'),
        this.#keyPrefix,
        this.toKey(''),
      );
      const records = tasks.map(peekedOf).filter((record) => record !== null);
      return { at, entryId, records: new Map(records.map((record) => [record.task.id, record])) };
    } catch {
      return null;
    }
  }
}
