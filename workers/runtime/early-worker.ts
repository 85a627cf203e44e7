/**
 * A BullMQ worker that looks at the entries it is about to take, so that their tasks may begin before, and takes all that it
 * has seen at once; that does not ask for more where the taking showed that there is none; and that closes an entry with
 * the taking of the next one.
 */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { type Job, Worker } from 'bullmq';
import type { Handed } from '../../shared/platform/hand-over.ts';
import { lookAheadScript, tidyMarkerScript } from '../../shared/platform/peek-scripts.ts';
import { type QueueEntry, type TaskTicket, ticketsPerEntryMax } from '../../shared/platform/queues.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import { type Peeked, type PeekedFields, peekedOf } from '../../shared/platform/task-answers.ts';
import type { Claimed } from '../../shared/platform/task-store.ts';
import { createEntriesTaking, type EntriesTaking, type Taking } from './taking.ts';

interface EarlyRedis {
  gcLookAhead(...keysAndArgs: string[]): Promise<[entryId: string, data: string, ...tasks: PeekedFields[]][]>;
  gcTidyMarker(...keys: string[]): Promise<number>;
}

/** Longest time for which an entry that is done is kept open, and the same where others wait to be taken. */
const lullMsMax = 20;
const busyLullMs = 2;

/** Longest time for which a taking waits for the first task to have something to write. */
const wishMsMax = 2;

/** A task of an entry that is being taken. */
export interface EarlyTicket {
  ticket: TaskTicket;
  entryId: string;
  record: Peeked;
  /** Nothing may be written of the task where this worker did not get the entry. */
  taking: Taking;
  /** Said of a task that the API claimed for this worker, with the entry. */
  claimed?: Claimed;
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

/** What BullMQ's loop works off: entries to begin with, and work that was begun. */
interface Loop {
  add(work: Promise<Job<QueueEntry> | undefined> | Promise<void>): void;
}

/** What is known of a task before it begins. */
type Known = Pick<EarlyTicket, 'record' | 'claimed'>;

function knownOf(fields: PeekedFields): Known[] {
  const record = peekedOf(fields);
  return record === null ? [] : [{ record }];
}

/** The runs that were begun, by task, of the entry that they are of. */
interface Begun {
  entryId: string;
  runs: ReadonlyMap<string, Promise<void>>;
  /** It is of one task alone, which waits for its claim before it goes on. */
  isOneChange: boolean;
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
  /** The last look found an entry and perhaps not the last one. */
  #isBusy = false;
  /** How many it has taken and not yet closed. */
  #openCount = 0;
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

  /** The token of the locks of entries that others take for this worker. */
  get handedToken(): string {
    return `${this.id}:handed`;
  }

  /**
   * Works off an entry that was taken for this worker under `handedToken`. One that comes when BullMQ's loop has ended is left
   * alone: nobody prolongs its lock, and it comes back as stalled.
   */
  takeHanded({ entryId, entry, ...known }: Omit<Handed, 'queue'>): void {
    const loop = this.#loop();
    if (loop === null) return;
    const token = this.handedToken;
    const isClaimed = known.claimed !== undefined;
    const taking: Taking = {
      // What is done is closed with the first that a read or a submission writes: one write and one sync for both.
      send: async () => {
        if (!isClaimed) this.#endLulls();
      },
      isOurs: Promise.resolve(true),
      isHanded: true,
      lock: { key: this.toKey(`${entryId}:lock`), token },
    };
    const begun = { entryId, ...this.#beginTasks(entryId, entry.data ?? '', () => [known], taking) };
    this.#openCount += 1;
    const work = async (): Promise<void> => {
      await endOfTurn(); // what begins with the message sends its requests first
      const job = this.createJob(entry as unknown as Parameters<typeof this.createJob>[0], entryId);
      job.token = token;
      job.processedOn = Date.now(); // by this clock the lock is prolonged; the entry has the API's
      this.#begun.set(job, begun);
      await this.processJob(job, token, () => false);
    };
    loop.add(work());
    // Behind the end of a change: nobody waits for Redis then.
    if (isClaimed) for (const run of begun.runs.values()) run.then(() => this.#endLulls()).catch(() => undefined);
  }

  /** BullMQ's own loop, which works off what it holds, and keeps the locks, while the worker closes too. Null when it has ended. */
  #loop(): Loop | null {
    const { mainLoopQueue } = this as unknown as { mainLoopQueue: Loop | null };
    return mainLoopQueue;
  }

  /** The run of a task that began before its entry was taken; undefined where it is to begin now. */
  begunRun(job: object, taskId: string): Promise<void> | undefined {
    return this.#begun.get(job)?.runs.get(taskId);
  }

  protected override async moveToActive(
    ...args: Parameters<Worker<QueueEntry>['moveToActive']>
  ): Promise<Job<QueueEntry>> {
    if (this.#isKnownEmpty) return this.nextJobFromJobData();
    return (await this.#takeAhead(args)) as Job<QueueEntry>;
  }

  override async processJob(
    ...args: Parameters<Worker<QueueEntry>['processJob']>
  ): ReturnType<Worker<QueueEntry>['processJob']> {
    try {
      return await super.processJob(...args);
    } finally {
      this.#openCount -= 1;
    }
  }

  protected override nextJobFromJobData(
    ...[data, ...rest]: Parameters<Worker<QueueEntry>['nextJobFromJobData']>
  ): Promise<Job<QueueEntry>> {
    this.#isDrained = !data;
    if (this.#isDrained) {
      this.#isBusy = false;
      this.#isKnownEmpty = false;
    } else this.#openCount += 1;
    return super.nextJobFromJobData(data, ...rest);
  }

  /** Never takes the next entry along: it would come without having been looked at. */
  protected override handleCompleted(
    ...[result, job, token, , span]: Parameters<Worker<QueueEntry>['handleCompleted']>
  ): ReturnType<Worker<QueueEntry>['handleCompleted']> {
    return super.handleCompleted(result, job, token, () => false, span);
  }

  async #takeAhead(args: Parameters<Worker<QueueEntry>['moveToActive']>): Promise<Job<QueueEntry> | undefined> {
    const [token] = args;
    const taking = createEntriesTaking();
    // Before the taking is sent: in one write with it, its answer would wait for the sync as well.
    const ahead = await this.#beginAhead(token, taking);
    if (ahead.some(({ runs }) => runs.size > 0)) await taking.wished(wishMsMax);
    // A change goes on with the answer to this write, and is at the cluster during the next: what is done is closed with that.
    const isOneChange = ahead.length === 1 && ahead[0]?.isOneChange === true;
    if (!isOneChange) this.#endLulls();
    const tidying = this.#tidyMarker(taking, () => isOneChange && this.#endLulls());
    let jobs: Job<QueueEntry>[] = [];
    try {
      jobs = await this.#take(args, Math.max(1, ahead.length));
    } finally {
      taking.got(jobs.map(({ id }) => id ?? ''));
    }
    for (const job of jobs) {
      const begun = ahead.find(({ entryId }) => entryId === job.id);
      if (begun !== undefined) this.#begun.set(job, begun);
    }
    const isLast = await tidying;
    if (!this.#isDrained) {
      this.#isKnownEmpty = isLast;
      this.#isBusy = !isLast;
    }
    const [first, ...others] = jobs;
    // What begins with this answer sends its requests first.
    if (ahead.length > 0) await endOfTurn();
    for (const other of others) this.#loop()?.add(Promise.resolve(other));
    return first;
  }

  /** Takes so many entries, or those that other workers leave. */
  async #take(args: Parameters<Worker<QueueEntry>['moveToActive']>, count: number): Promise<Job<QueueEntry>[]> {
    const [token, name] = args;
    const others = Array.from({ length: count - 1 }, () => this.backend.moveToActive(token, name));
    const [first, ...answers] = await Promise.allSettled([super.moveToActive(...args), ...others]);
    const jobs: Job<QueueEntry>[] = [];
    if (first.status === 'fulfilled' && first.value !== undefined) jobs.push(first.value);
    for (const answer of answers) {
      if (answer.status === 'rejected') continue; // an entry that was taken all the same comes back as stalled
      const [data, id] = answer.value;
      if (data) jobs.push(await this.nextJobFromJobData(data, id, token));
    }
    if (jobs.length === 0 && first.status === 'rejected') throw first.reason;
    return jobs;
  }

  /** Looks at the entries that come next, and begins their tasks as far as they may. None where that failed. */
  async #beginAhead(token: string, taking: EntriesTaking): Promise<Begun[]> {
    try {
      // Entries that are taken together are as much work as one that is full, so that other workers get their share.
      const bounds = [Math.max(1, this.concurrency - this.#openCount), ticketsPerEntryMax].map(String);
      const { keyPrefix } = this.#options;
      const seen = await this.#redis.gcLookAhead(this.toKey('wait'), keyPrefix, this.toKey(''), ...bounds);
      return seen.map(([entryId, data, ...fields]) => {
        const its = taking.of(entryId, { key: this.toKey(`${entryId}:lock`), token });
        return { entryId, ...this.#beginTasks(entryId, data, () => fields.flatMap(knownOf), its) };
      });
    } catch {
      return [];
    }
  }

  /** Never throws: what has begun must be known, or it would run a second time. The others begin when their entry is taken. */
  #beginTasks(entryId: string, data: string, known: () => readonly Known[], taking: Taking): Omit<Begun, 'entryId'> {
    const runs = new Map<string, Promise<void>>();
    let isOneChange = false;
    try {
      const knownById = new Map(known().map((its) => [its.record.task.id, its]));
      const { tasks } = JSON.parse(data) as QueueEntry;
      isOneChange = tasks.length === 1 && tasks[0]?.isMutation === true;
      for (const ticket of tasks) {
        const its = knownById.get(ticket.id);
        const run = its && this.#options.begin({ ticket, entryId, taking, ...its });
        if (run !== undefined) runs.set(ticket.id, run);
      }
    } catch {
      // A record that cannot be read is told by the run that begins with its entry.
    }
    return { runs, isOneChange };
  }

  #endLulls(): void {
    for (const end of [...this.#lulls]) end();
  }

  /** Whether nothing is left to take. Calls `behind` when the taking was written. */
  async #tidyMarker(taking: EntriesTaking, behind: () => void): Promise<boolean> {
    // BullMQ sends its commands after some promises; the tick queue runs behind these, and before the turn's write.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    taking.sent();
    const [wait, prioritized, delayed, marker] = ['wait', 'prioritized', 'delayed', 'marker'].map((key) =>
      this.toKey(key),
    ) as [string, string, string, string];
    const tidied = this.#redis.gcTidyMarker(wait, prioritized, delayed, marker);
    setImmediate(behind); // behind the end of the turn, which writes
    return await tidied.then(
      (isEmpty) => isEmpty === 1,
      () => false,
    );
  }
}
