/**
 * Task records in Redis, written through the scripts of `task-scripts.ts` only. Every method may be called
 * concurrently from any process; each throws `StoreUnavailable` when Redis cannot serve.
 */
import type { NewChain } from '../tasks/chain.ts';
import type { TaskState } from '../tasks/states.ts';
import { type Policy, type Progress, parseTask, type Task } from '../tasks/task.ts';
import { type AcceptingRedis, acceptTask } from './accept-task.ts';
import { type BatchKeys, createBatchKeys } from './batch-keys.ts';
import { peekScript } from './peek-scripts.ts';
import type { TaskTicket } from './queues.ts';
import { type Redis, withStore } from './redis.ts';
import { fieldsOf, type Peeked, type PeekedFields, peekedOf, promotedOf } from './task-answers.ts';
import { createTaskLists, type TaskLists } from './task-lists.ts';
import { type Parking, type ParkingRedis, type ParkOptions, parkTask, type Telling } from './task-parking.ts';
import { acceptScript, forsakenScript, parkScript, tellProgressScript, transitionScript } from './task-scripts.ts';
import { type RateLimit, type RateState, readRate } from './user-rate.ts';

export interface TaskStoreSettings {
  keyPrefix: string;
  openPerUserMax: number;
  openPerQueueMax: number;
  openPerSystemMax: number;
  admittedPerUserMax: number;
  keepMs: number;
  /** Of each user; null: no limit. */
  ratePerUser?: RateLimit | null;
}

/** A task about to be accepted. Times are milliseconds since the epoch. */
export interface NewTask {
  id: string;
  operation: string;
  system: string | null;
  queue: string;
  owner: string;
  principal: string;
  input: string;
  createdAt: number;
  deadlineAt: number;
  /** Instance that waits for the end; empty: nobody. */
  replyTo: string;
  /** Whether a request is held for its end. */
  isHeld: boolean;
  /** Whether the owner's list shows it. */
  isIndexed: boolean;
  /** How long it is kept after its end. */
  keepMs: number;
  requestId: string;
  /** The trace that the request belongs to (W3C Trace Context). */
  traceparent?: string;
  /** The queue entry that will carry it, when it is added along; empty otherwise. */
  entryId: string;
  /** The job that FirecREST's clients know it as; none where they know of no job. */
  jobId?: string;
  /** Of the owner's tasks in this queue, so many may stand in it at once; the store's own bound when left out. */
  admittedMax?: number;
  /** JSON of an address to tell of its end, with the sealed secret to sign with. */
  webhook?: string;
  /** `insteadOf`: the task that has the key, and gives it up, since it ended without what it was for. */
  idempotency?: { key: string; fingerprint: string; insteadOf?: string };
  tags?: readonly string[];
  /** Among the owner's waiting tasks, -100 to 100; the higher goes first. */
  priority?: number;
  /** It does not begin before that time. */
  startAt?: number;
  /** Where the request came from. */
  address?: string;
  /** Which policy let it in; left out: the built-in one. */
  policy?: Policy;
  /** The owner's access token, sealed for this task. */
  sealedToken?: string;
  /** Its steps, where it has several; operation, system, queue and input are those of the first to run. */
  chain?: NewChain;
  /** The task that it repeats. */
  retryOf?: string;
}

/** Where an open task stands: admitted to its queue, not yet due, or behind others of its owner. */
export type Standing = 'admitted' | 'later' | 'waiting';

export interface Accepted {
  id: string;
  /** False: the id is of the task an earlier request with the same key made. */
  isNew: boolean;
  /** Whether its queue entry is to be added now; otherwise the end of another task of the owner promotes it. */
  isAdmitted: boolean;
  /** What the owner may still submit; null: no limit. */
  rate: RateState | null;
}

/**
 * `gone`: no such record. `stale`: another claim came after. `superseded`: the queue entry is of an earlier attempt.
 * `waiting`: its turn has not come; the end of another task of its owner will add it again. `untaken`: the claimant does not
 * hold the entry, or not yet.
 */
export type Refusal = 'gone' | 'stale' | 'illegal' | 'superseded' | 'waiting' | 'untaken';
export type Claim = Claimed | { outcome: Refusal };

/** `task`: as it stands now; taken apart when somebody asks. */
export interface Claimed {
  outcome: 'claimed';
  readonly task: Task;
  fence: number;
  from: TaskState;
}
export type Settlement =
  | { outcome: 'settled'; promoted: TaskTicket[]; next?: NextStep }
  | { outcome: Refusal; state?: TaskState };

/** Where the next step of a chain stands, and what may run there now; it is not in it where it has to wait. */
export interface NextStep {
  queue: string;
  promoted: TaskTicket[];
}

/** Who claims: for which queue entry, since when, and an id that no other claim has. */
export interface Claimant {
  entryId: string;
  worker: string;
  startedAt: number;
  claimId: string;
  /** Asked of Redis before anything is written: whether the claimant holds the entry. */
  lock?: EntryLock;
}

/** The lock of a queue entry that a worker has got: its key, and what stands there. */
export interface EntryLock {
  key: string;
  token: string;
}

/** The state of a task, with its result or error as stored JSON. */
export interface StoredEnd {
  state: TaskState;
  result: string | null;
  /** Where a result waits that is too large for the record. */
  resultUrl: string | null;
  error: string | null;
  /** Whether it was parked: what was asked for at its beginning is known. */
  isPrepared: boolean;
}

export interface TaskStore extends TaskLists, BatchKeys {
  accept(task: NewTask): Promise<Accepted>;
  /** Takes a task for one attempt: `pending → active`, or the take-over of a lost worker's; writes its journal where one is given. */
  claim(ticket: TaskTicket, claimant: Claimant, journal?: Record<string, unknown>): Promise<Claim>;
  /** Claims and ends a task in one step: for a read that was done before anybody had to know that it runs. */
  claimAndSettle(ticket: TaskTicket, claimant: Claimant, end: TaskEnd): Promise<Settlement>;
  /** Ends a task. `fence` null: whoever holds it. */
  settle(id: string, fence: number | null, end: TaskEnd): Promise<Settlement>;
  /** `active → pending`. Hand-backs are counted apart: they use up no attempt. */
  release(id: string, fence: number, options: { isHandBack: boolean; handBacks: number }): Promise<Settlement>;
  /**
   * Lays an active task by, without a worker: `active` while it keeps its place, else `pending`. The ticket is to be
   * added with the delay; null: the end of another task of its owner will add it.
   */
  park(id: string, fence: number, options: ParkOptions): Promise<Parking>;
  /** Tells how far a task is that was laid by with its place, while it lies so and nobody wishes to cancel it. */
  tellProgress(id: string, fence: number, progress: Progress): Promise<Telling>;
  /** Whether a task that is to be glanced at was not for longer than that. */
  isForsaken(id: string, glanceMsMax: number): Promise<boolean>;
  /** Writes what the next attempt must find, and how far the task is. False: another claim came after. */
  writeJournal(id: string, fence: number, entry: Record<string, unknown>, progress?: Progress): Promise<boolean>;
  /** Tells the process that waits for a task where a worker waits for it. Resolves with how many heard it. */
  announce(task: Pick<Task, 'id' | 'replyTo'>, url: string): Promise<number>;
  /** Tells the process that waits for a read its result, before the end does. Resolves with how many heard it. */
  tellResult(task: Pick<Task, 'id' | 'replyTo'>, resultJson: string): Promise<number>;
  /** Notes the wish to cancel and tells the workers. */
  requestCancel(id: string): Promise<void>;
  read(id: string): Promise<Task | null>;
  /** The record and whether its turn has come; null: no such record. */
  peek(id: string): Promise<Peeked | null>;
  /** Takes a result out of the record of a task that was read by the one request it was for. */
  dropResult(id: string): Promise<void>;
  /** What a waiter needs. Null: no such record. */
  readEnd(id: string): Promise<StoredEnd | null>;
  /** Whether the owner's index remembers an id whose record is gone. */
  remembers(owner: string, id: string): Promise<boolean>;
  /** Whether the task may stand in its queue, begins later, or waits for the end of another task of its owner. */
  standing(task: Pick<Task, 'id' | 'queue' | 'owner'>): Promise<Standing>;
  /** What an owner may submit now; null: no limit. */
  rateOf(owner: string): Promise<RateState | null>;
  /** Ids of open tasks of a queue accepted before a time, oldest first. */
  listOpen(queue: string, acceptedBefore: number, offset: number, count: number): Promise<string[]>;
  /** Drops a dead id from the open index: its record is gone. */
  forgetOpen(queue: string, id: string): Promise<void>;
}

export type TaskEnd =
  /** `isTold`: to whoever waits for it. */
  | { state: 'completed'; resultJson: string; isTold?: boolean }
  /** Too large for the record: the API fetches it there, once, or as often as it likes until a time. */
  | { state: 'completed'; resultUrl: string; kept?: { sizeBytes: number; until: number } }
  | { state: 'failed' | 'canceled'; errorJson: string };

interface ScriptedRedis extends ParkingRedis, AcceptingRedis {
  gcTransition(...args: (string | number)[]): Promise<string[]>;
  gcPeek(...args: string[]): Promise<PeekedFields>;
}

/** The channel on which workers hear of cancellations. */
export function cancelChannel(keyPrefix: string): string {
  return `${keyPrefix}:cancel`;
}

/** The channel on which one API process hears of the ends it waits for: `id state`, and a small result's JSON after it. */
export function replyChannel(keyPrefix: string, instance: string): string {
  return `${keyPrefix}:reply:${instance}`;
}

/** Stands in the place of the state where the message is the address of a worker that waits for the request. */
export const offerWord = 'offer';

/** A store over a connection, which stays the caller's to close. */
export function createTaskStore(redis: Redis, settings: TaskStoreSettings): TaskStore {
  const { keyPrefix } = settings;
  const scripted = redis as unknown as ScriptedRedis;
  redis.defineCommand('gcAccept', { numberOfKeys: 10, lua: acceptScript });
  redis.defineCommand('gcPark', { numberOfKeys: 1, lua: parkScript });
  redis.defineCommand('gcForsaken', { numberOfKeys: 1, lua: forsakenScript });
  redis.defineCommand('gcTellProgress', { numberOfKeys: 1, lua: tellProgressScript });
  redis.defineCommand('gcTransition', { numberOfKeys: 1, lua: transitionScript });
  redis.defineCommand('gcPeek', { numberOfKeys: 1, lua: peekScript });
  const taskKey = (id: string) => `${keyPrefix}:task:${id}`;
  const openKey = (queue: string) => `${keyPrefix}:open:${queue}`;
  const indexKey = (owner: string) => `${keyPrefix}:tasks:${owner}`;

  interface Move {
    to: TaskState | '';
    fence?: number | null;
    ticket?: TaskTicket;
    entryId?: string;
    startedAt?: number;
    claimId?: string;
    lock?: EntryLock | undefined;
    fields?: (string | number)[];
  }
  const move = (
    id: string,
    { to, fence = null, ticket, entryId = '', startedAt, claimId = '', lock, fields = [] }: Move,
  ): Promise<string[]> =>
    withStore(() =>
      scripted.gcTransition(
        taskKey(id),
        keyPrefix,
        id,
        to,
        fence ?? '',
        ticket?.fence ?? '',
        Date.now(),
        settings.admittedPerUserMax,
        entryId,
        ticket?.isTakeOver === true ? '1' : '0',
        startedAt ?? '',
        claimId,
        lock?.key ?? '',
        lock?.token ?? '',
        ...fields,
        'updatedAt',
        Date.now(),
      ),
    );
  const settlement = ([outcome, state, queue = '', count, ...rest]: string[]): Settlement => {
    if (outcome !== 'ok') return { outcome: outcome as Refusal, ...(state ? { state: state as TaskState } : {}) };
    const ownMax = 2 * Number(count ?? 0);
    const promoted = promotedOf(rest.slice(0, ownMax));
    if (queue === '') return { outcome: 'settled', promoted };
    return { outcome: 'settled', promoted, next: { queue, promoted: promotedOf(rest.slice(ownMax)) } };
  };
  const tell = ({ id, replyTo }: Pick<Task, 'id' | 'replyTo'>, word: string, text: string): Promise<number> =>
    withStore(async () => {
      if (replyTo === null) return 0;
      return await redis.publish(replyChannel(keyPrefix, replyTo), `${id} ${word} ${text}`);
    });

  return {
    accept: (task) => acceptTask(scripted, settings, task),
    async claim(ticket, { entryId, worker, startedAt, claimId, lock }, journal) {
      const [outcome, from, ...flat] = await move(ticket.id, {
        ...{ to: 'active', ticket, entryId, startedAt, claimId, lock },
        fields: ['worker', worker, ...(journal ? ['journal', JSON.stringify(journal)] : [])],
      });
      if (outcome !== 'ok') return { outcome: outcome as Refusal };
      return claimedOf(from as TaskState, fieldsOf(flat));
    },
    async claimAndSettle(ticket, { entryId, worker, startedAt, lock }, end) {
      const fields = ['worker', worker, ...endFields(end)];
      return settlement(await move(ticket.id, { to: end.state, ticket, entryId, startedAt, lock, fields }));
    },
    async settle(id, fence, end) {
      return settlement(await move(id, { to: end.state, fence, fields: endFields(end) }));
    },
    async release(id, fence, { isHandBack, handBacks }) {
      const fields = ['entryId', `${id}.${fence}`, ...(isHandBack ? ['handBacks', handBacks + 1] : [])];
      return settlement(await move(id, { to: 'pending', fence, fields }));
    },
    park: (id, fence, options) => withStore(() => parkTask(scripted, settings, { id, fence, ...options })),
    tellProgress: (id, fence, progress) =>
      withStore(async () => {
        const told = await scripted.gcTellProgress(taskKey(id), fence, JSON.stringify(progress), Date.now());
        return told as Telling;
      }),
    isForsaken: (id, mostMs) => withStore(async () => (await scripted.gcForsaken(taskKey(id), mostMs)) === 1),
    async writeJournal(id, fence, entry, progress) {
      const told = progress === undefined ? [] : ['progress', JSON.stringify(progress)];
      const [outcome] = await move(id, { to: '', fence, fields: ['journal', JSON.stringify(entry), ...told] });
      return outcome === 'ok';
    },
    announce: (task, url) => tell(task, offerWord, url),
    tellResult: (task, resultJson) => tell(task, 'completed', resultJson),
    requestCancel: (id) =>
      withStore(async () => {
        // HSET on a record that just expired would leave a fragment behind, hence the fields' own expiry by the script.
        await redis.eval(
          "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'cancel', '1') redis.call('PUBLISH', ARGV[1], ARGV[2]) end",
          1,
          taskKey(id),
          cancelChannel(keyPrefix),
          id,
        );
      }),
    read: (id) =>
      withStore(async () => {
        const fields = await redis.hgetall(taskKey(id));
        return fields.id === undefined ? null : parseTask(fields);
      }),
    peek: (id) => withStore(async () => peekedOf(await scripted.gcPeek(taskKey(id), keyPrefix, id))),
    dropResult: (id) =>
      withStore(async () => {
        await redis.hdel(taskKey(id), 'result');
      }),
    readEnd: (id) =>
      withStore(async () => {
        const [state, result, resultUrl, error, preparedAt] = await redis.hmget(
          taskKey(id),
          'state',
          'result',
          'resultUrl',
          'error',
          'preparedAt',
        );
        if (!state) return null;
        return {
          state: state as TaskState,
          result: result ?? null,
          resultUrl: resultUrl ?? null,
          error: error ?? null,
          isPrepared: preparedAt !== null,
        };
      }),
    remembers: (owner, id) => withStore(async () => (await redis.zscore(indexKey(owner), id)) !== null),
    standing: ({ id, queue, owner }) =>
      withStore(async () => {
        const [isAdmitted, isAside, dueAt] = await Promise.all([
          redis.sismember(`${keyPrefix}:admitted:${queue}:${owner}`, id),
          redis.sismember(`${keyPrefix}:aside:${queue}:${owner}`, id),
          redis.zscore(`${keyPrefix}:later:${queue}:${owner}`, id),
        ]);
        if (isAdmitted === 1 || isAside === 1) return 'admitted';
        return dueAt === null ? 'waiting' : 'later';
      }),
    ...createTaskLists(redis, keyPrefix),
    rateOf: (owner) =>
      withStore(async () => {
        const limit = settings.ratePerUser ?? null;
        return limit === null ? null : readRate(redis, keyPrefix, owner, limit);
      }),
    ...createBatchKeys(redis, keyPrefix, settings.keepMs),
    listOpen: (queue, acceptedBefore, offset, count) =>
      withStore(() => redis.zrangebyscore(openKey(queue), '-inf', acceptedBefore, 'LIMIT', offset, count)),
    forgetOpen: (queue, id) =>
      withStore(async () => {
        await redis.zrem(openKey(queue), id);
      }),
  };
}

/** A claim's answer, from the fields of the record as it left it. */
export function claimedOf(from: TaskState, fields: Record<string, string>): Claimed {
  let task: Task | undefined;
  return {
    outcome: 'claimed',
    get task() {
      task ??= parseTask(fields);
      return task;
    },
    fence: Number(fields.fence),
    from,
  };
}

function endFields(end: TaskEnd): (string | number)[] {
  if (end.state !== 'completed') return ['error', end.errorJson];
  if (!('resultUrl' in end)) return ['result', end.resultJson, ...(end.isTold ? ['replyTo', ''] : [])];
  const kept = end.kept === undefined ? [] : ['resultBytes', end.kept.sizeBytes, 'resultUntil', end.kept.until];
  return ['resultUrl', end.resultUrl, ...kept];
}
