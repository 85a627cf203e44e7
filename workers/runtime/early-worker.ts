/**
 * A BullMQ worker that, where it was idle, looks at the entry it is about to take, so that its tasks may begin while Redis
 * syncs the taking; that does not ask for more where the taking showed that there is none; and that closes an entry with the
 * taking of the next one.
 */
import { type Job, Worker } from 'bullmq';
import { lookAheadScript, tidyMarkerScript } from '../../shared/platform/peek-scripts.ts';
import type { QueueEntry, TaskTicket } from '../../shared/platform/queues.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import { type Peeked, type PeekedFields, peekedOf } from '../../shared/platform/task-answers.ts';

interface EarlyRedis {
  gcLookAhead(...keysAndArgs: string[]): Promise<[entryId?: string, data?: string, ...tasks: PeekedFields[]]>;
  gcTidyMarker(...keys: string[]): Promise<number>;
}

/** Longest time for which an entry that is done is kept open, and the same where others wait to be taken. */
const lullMsMax = 20;
const busyLullMs = 2;

/** A task of an entry that is being taken. */
export interface EarlyTicket {
  ticket: TaskTicket;
  entryId: string;
  record: Peeked;
  /** Whether this worker got the entry. Nothing may be written of the task before. Never rejects. */
  isTaken: Promise<boolean>;
}

export interface EarlyWorkerOptions {
  keyPrefix: string;
  redis: Redis;
  /** Begins a task, or answers undefined: then it begins when the entry is taken. The promise never rejects unheard. */
  begin: (early: EarlyTicket) => Promise<void> | undefined;
}

/** Teaches the connection the scripts; once for each connection. */
export function prepareEarly(redis: Redis): void {
  redis.defineCommand('gcLookAhead', { numberOfKeys: 1, lua: lookAheadScript });
  redis.defineCommand('gcTidyMarker', { numberOfKeys: 4, lua: tidyMarkerScript });
}

/** The runs that were begun, by task, of the entry that they are of. */
interface Begun {
  entryId: string;
  runs: ReadonlyMap<string, Promise<void>>;
}

export class EarlyWorker extends Worker<QueueEntry> {
  readonly #begun = new WeakMap<object, Begun>();
  readonly #options: EarlyWorkerOptions;
  readonly #redis: EarlyRedis;
  /** Nothing was there at the last look, so BullMQ waits to be woken for what comes next: its own `drained`. */
  #isDrained = true;
  /**
   * The last taking left nothing: the look that BullMQ takes next would find nothing, or what wakes it anyway. Never along
   * with `#isDrained`: then its next look is one that it was woken for, and is taken.
   */
  #isKnownEmpty = false;
  /** The last look found an entry and perhaps not the last one: the next is best taken with the closing of one. */
  #isBusy = false;
  /** Who waits for the next taking. */
  readonly #lulls = new Set<() => void>();

  constructor(
    options: EarlyWorkerOptions,
    ...[name, process, bullOptions]: ConstructorParameters<typeof Worker<QueueEntry>>
  ) {
    super(name, process, bullOptions);
    this.#options = options;
    this.#redis = options.redis as unknown as EarlyRedis;
  }

  /**
   * Resolves when an entry whose tasks have ended may be closed without being in the way of others: closing makes Redis sync
   * its file. That is with the next taking, whose sync it then shares, and which no task waits for; or when none comes.
   */
  lull(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#lulls.delete(end);
        resolve();
      };
      const timer = setTimeout(end, this.#isBusy ? busyLullMs : lullMsMax);
      this.#lulls.add(end);
    });
  }

  /** The run of a task that began before its entry was taken; undefined where it is to begin now. */
  begunRun(job: object, taskId: string): Promise<void> | undefined {
    return this.#begun.get(job)?.runs.get(taskId);
  }

  protected override async moveToActive(
    ...args: Parameters<Worker<QueueEntry>['moveToActive']>
  ): Promise<Job<QueueEntry>> {
    if (this.#isKnownEmpty) return this.nextJobFromJobData();
    this.#isBusy = !this.#isDrained;
    return this.#isDrained ? await this.#takeEarly(args) : await this.#take(args);
  }

  protected override nextJobFromJobData(
    ...[data, ...rest]: Parameters<Worker<QueueEntry>['nextJobFromJobData']>
  ): Promise<Job<QueueEntry>> {
    this.#isDrained = !data;
    if (this.#isDrained) {
      this.#isBusy = false;
      this.#isKnownEmpty = false;
    }
    return super.nextJobFromJobData(data, ...rest);
  }

  /** With nothing more to take BullMQ waits for the marker, and an entry that comes is looked at before it is taken. */
  protected override handleCompleted(
    ...[result, job, token, mayFetch = () => true, span]: Parameters<Worker<QueueEntry>['handleCompleted']>
  ): ReturnType<Worker<QueueEntry>['handleCompleted']> {
    return super.handleCompleted(result, job, token, () => this.#isBusy && mayFetch(), span);
  }

  async #take(args: Parameters<Worker<QueueEntry>['moveToActive']>): Promise<Job<QueueEntry>> {
    for (const end of [...this.#lulls]) end();
    return await super.moveToActive(...args);
  }

  async #takeEarly(args: Parameters<Worker<QueueEntry>['moveToActive']>): Promise<Job<QueueEntry>> {
    let taken: (entryId: string | undefined) => void = () => {};
    const entryTaken = new Promise<string | undefined>((resolve) => {
      taken = resolve;
    });
    // Before the taking is sent: in one write with it, its answer would wait for the sync as well.
    const begun = await this.#beginAhead(entryTaken);
    const tidying = this.#tidyMarker();
    try {
      const job = (await this.#take(args)) as Job<QueueEntry> | undefined;
      taken(job?.id);
      if (job !== undefined && begun !== null && begun.entryId === job.id) this.#begun.set(job, begun);
      const isLast = await tidying;
      if (!this.#isDrained) {
        this.#isKnownEmpty = isLast;
        this.#isBusy = !isLast;
      }
      return job as Job<QueueEntry>;
    } finally {
      taken(undefined);
    }
  }

  /** Looks at the entry that comes next, and begins its tasks as far as they may. Null where that failed. */
  async #beginAhead(entryTaken: Promise<string | undefined>): Promise<Begun | null> {
    try {
      const { keyPrefix, begin } = this.#options;
      const [entryId, data, ...fields] = await this.#redis.gcLookAhead(this.toKey('wait'), keyPrefix, this.toKey(''));
      if (entryId === undefined || data === undefined) return null;
      const isTaken = entryTaken.then((id) => id === entryId);
      const records = new Map(
        fields.flatMap((task) => {
          const record = peekedOf(task);
          return record === null ? [] : [[record.task.id, record] as const];
        }),
      );
      const { tasks } = JSON.parse(data) as QueueEntry;
      const runs = tasks.flatMap((ticket) => {
        const record = records.get(ticket.id);
        const run = record && begin({ ticket, entryId, record, isTaken });
        return run === undefined ? [] : [[ticket.id, run] as const];
      });
      return { entryId, runs: new Map(runs) };
    } catch {
      return null;
    }
  }

  async #tidyMarker(): Promise<boolean> {
    // BullMQ sends its command after some promises; the tick queue runs behind these, and before the turn's write.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const [wait, prioritized, delayed, marker] = ['wait', 'prioritized', 'delayed', 'marker'].map((key) =>
      this.toKey(key),
    ) as [string, string, string, string];
    return await this.#redis.gcTidyMarker(wait, prioritized, delayed, marker).then(
      (isEmpty) => isEmpty === 1,
      () => false,
    );
  }
}
