/** The producer side of tasks: accept, wait, read, cancel. All the API knows of queues is here. */
import { v7 as uuidv7 } from 'uuid';
import { BrokerError, type StoredError, toStoredError } from '../../shared/errors/broker-error.ts';
import { beginsWithClaim, type Operation } from '../../shared/operations/operation.ts';
import { findOperation, type OperationName } from '../../shared/operations/registry.ts';
import type { JobNumbers } from '../../shared/platform/job-numbers.ts';
import { countAccept } from '../../shared/platform/metrics/count-accept.ts';
import { countEnd } from '../../shared/platform/metrics/count-end.ts';
import { type Meter, silentMeter } from '../../shared/platform/metrics/meter.ts';
import { type QueueAdder, queueName, type TaskTicket } from '../../shared/platform/queues.ts';
import type { TaskFilter, TaskPage } from '../../shared/platform/task-lists.ts';
import type { Accepted, NewTask, TaskStore } from '../../shared/platform/task-store.ts';
import { RateLimitError, type RateState } from '../../shared/platform/user-rate.ts';
import { openJobsOf } from '../../shared/tasks/chain.ts';
import { type ConsentLives, consentKindOf, usualEndOf } from '../../shared/tasks/consent.ts';
import { isTerminal, type TaskState } from '../../shared/tasks/states.ts';
import { type Policy, type Principal, principalKey, type Task } from '../../shared/tasks/task.ts';
import { takeUpForsaken } from './forsaken-task.ts';
import { type EarlierTransfer, type HeldTransfer, holdTransfer } from './hold-transfer.ts';
import { isStoreAway, mayBeKept, type NotNew, whatIsKnown } from './lost-accept.ts';
import { type AdmissionBounds, admittedMaxOf, placeChain, type WishedChain } from './place-chain.ts';
import type { StoreRoom } from './store-room.ts';
import { untilAborted } from './until-aborted.ts';
import type { WaitedFor, Waiters } from './waiters.ts';
import { wakeTicket } from './wake-ticket.ts';

export interface AcceptRequest {
  operation: OperationName;
  /** Null for an operation about the broker itself. */
  system: string | null;
  principal: Principal;
  /** Parsed by the operation's schema, paths admitted. */
  input: unknown;
  /** Whether a client holds its request open for the end. */
  isHeld: boolean;
  /** How long it is held. */
  holdMs: number;
  /** What it is held for; its end, when left out. */
  heldFor?: WaitedFor;
  /** Milliseconds since the epoch; default: a day after now, for a held read the end of the hold. */
  deadlineAt?: number;
  /** JSON of an address to tell of the end, with the sealed secret to sign with. */
  webhook?: string;
  idempotencyKey?: string;
  /** Of the payload; the same key with another fingerprint is refused. */
  fingerprint?: string;
  /** The ended task that gives the key up. */
  insteadOf?: string;
  requestId: string;
  /** The trace that the request belongs to, as its header says. */
  traceparent?: string;
  /** Told what the caller may still submit, also when that is nothing. */
  onRate?: (rate: RateState) => void;
  /**
   * Called when the accept is sent, in the same write. What it returns is told, in the turn of the answer, where there is no
   * new task with this id, or may be none.
   */
  onAccepted?: (id: string, deadlineAt: number) => ((instead: NotNew) => void) | undefined;
  tags?: readonly string[];
  /** Among the owner's waiting tasks, -100 to 100; the higher goes first. */
  priority?: number;
  /** Milliseconds since the epoch; the task is kept, and begins then. */
  startAt?: number;
  /** Where the request came from. */
  address?: string;
  /** The access token that the request came with. */
  token?: string;
  /** Its steps, where it has several; operation, system and input are those of the first to run. */
  chain?: WishedChain;
  /** The task that it repeats. */
  retryOf?: string;
}

/** How a held request ended. A state that is not terminal means that the hold ran out. */
export interface Outcome {
  id: string;
  isReplay: boolean;
  state: TaskState;
  /** JSON text of the result, as the worker stored it. */
  resultJson?: string;
  /** Where the body of the answer waits, once and for a minute, when the result was too large to be stored. */
  bodyUrl?: string;
  error?: StoredError;
}

/** Every method throws `StoreUnavailable` when Redis cannot serve. */
export interface TaskGate {
  /** The task is kept when this returns. UserQueueFull, QueueFull, StoreFull, IdempotencyMismatch. */
  accept(request: AcceptRequest): Promise<{ id: string; isReplay: boolean }>;
  /** Keeps what a batch's key stands for, before its tasks are accepted. IdempotencyMismatch. */
  beginBatch(principal: Principal, key: string, fingerprint: string): Promise<void>;
  /** Tasks of the caller, newest first, without input and result. */
  list(principal: Principal, filter: TaskFilter): Promise<TaskPage>;
  /** What the caller may submit now; null: no limit. */
  rateOf(principal: Principal): Promise<RateState | null>;
  /** How many tasks of the caller are open in each queue. */
  countOpen(principal: Principal, queues: readonly string[]): Promise<number[]>;
  /** Accepts and holds. A read whose hold ran out or whose client went away is canceled; a mutation goes on. */
  acceptAndWait(request: AcceptRequest, signal: AbortSignal): Promise<Outcome>;
  /** Accepts a task whose bytes travel past Redis, without an idempotency key. Nothing is canceled by itself; `signal` ends every wait. */
  acceptTransfer(request: AcceptRequest, signal: AbortSignal): Promise<HeldTransfer>;
  /** The same with a key, which may lead to what an earlier request made. */
  acceptKeyedTransfer(request: AcceptRequest, signal: AbortSignal): Promise<HeldTransfer | EarlierTransfer>;
  /** TaskNotFound also for another owner's task; TaskExpired for one that was kept and is no more. */
  get(id: string, principal: Principal): Promise<Task>;
  /** The task, whoever's it is; null: there is none. For who was found to be allowed to see it. */
  find(id: string): Promise<Task | null>;
  /** The task when it has ended, or as it is after `waitMs`. */
  wait(id: string, principal: Principal, waitMs: number, signal: AbortSignal): Promise<Task>;
  /** Has a task looked at now that is laid by. TaskConflict where it has ended. */
  hurry(id: string, principal: Principal): Promise<Task>;
  /** Cancels a waiting task at once and asks the worker of an active one to stop; the answer shows which. */
  cancel(id: string, principal: Principal): Promise<Task>;
}

export interface TaskGateDependencies {
  store: TaskStore;
  queues: QueueAdder;
  waiters: Waiters;
  room: Pick<StoreRoom, 'check'>;
  /** The reply channel's name for this process. */
  instance: string;
  jobNumbers: JobNumbers;
  /** What judges the requests; it stands in their records, for the workers. */
  policy: Policy;
  /** Seals the caller's token into the record of a task, where SSH credentials need one; left out: no token is kept. */
  sealToken?: (token: string, taskId: string) => string;
  meter?: Meter;
  settings: AdmissionBounds & { keepMs: number; heldReadKeepMs: number; consentLives: ConsentLives };
}

/** A result of a held read that is larger leaves Redis when it was read; smaller ones go with their record. */
const droppedCharsMin = 4_096;

const taskId = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const canceledByCaller = JSON.stringify(toStoredError(new BrokerError('TaskCanceled', 'The task was canceled.')));

export function createTaskGate(deps: TaskGateDependencies): TaskGate {
  const { store, queues, waiters, meter = silentMeter } = deps;

  /** Tasks of an owner in a queue that this process waits for; a guess at whether one more will be admitted. */
  const openByOwner = new Map<string, number>();

  const accept = async (request: AcceptRequest, id: string): Promise<Accepted> => {
    deps.room.check();
    const operation = findOperation(request.operation) as Operation;
    // One whose end is told to somebody else is kept as any, so that who is told may read it.
    const isHeldRead = request.isHeld && !operation.mutates && request.webhook === undefined;
    const now = Date.now();
    const queue = queueName(operation.lane, request.system);
    const owner = principalKey(request.principal);
    const kind = consentKindOf(operation, request.chain !== undefined);
    const usualEnd = usualEndOf(kind, deps.settings.consentLives, now, request.startAt);
    const deadlineAt = request.deadlineAt ?? (isHeldRead ? (request.startAt ?? now) + request.holdMs : usualEnd);
    const jobId =
      operation.firecrest.job === undefined || request.chain !== undefined
        ? undefined
        : await deps.jobNumbers.assign(id, deadlineAt - now + deps.settings.keepMs);
    const admittedMax = admittedMaxOf(operation, deps.settings);
    // Only who waits is counted here; of the others there may be any number.
    const isLikelyAdmitted = request.isHeld && (openByOwner.get(`${queue} ${owner}`) ?? 0) <= admittedMax;
    // Sent along with the accept, in one write. An entry of a task that was refused or must wait is dropped by the
    // worker that takes it.
    // One that begins later takes its place with its claim.
    const isClaimedFirst = beginsWithClaim(operation) || request.startAt !== undefined;
    const ticket: TaskTicket = { id, fence: 0, ...(isClaimedFirst ? { isMutation: true } : {}) };
    const placement = isLikelyAdmitted ? queues.add(queue, ticket) : null;
    placement?.done.catch(() => undefined); // the record is the promise; the sweeper adds what is missing
    const task: NewTask = {
      id,
      operation: request.operation,
      system: request.system,
      queue,
      owner,
      principal: JSON.stringify(request.principal),
      input: JSON.stringify(request.input),
      createdAt: now,
      deadlineAt,
      admittedMax,
      ...(jobId === undefined ? {} : { jobId }),
      replyTo: deps.instance,
      isHeld: request.isHeld,
      isIndexed: !isHeldRead,
      keepMs: isHeldRead ? deps.settings.heldReadKeepMs : deps.settings.keepMs,
      requestId: request.requestId,
      entryId: placement?.entryId ?? '',
      ...(request.tags === undefined ? {} : { tags: request.tags }),
      ...(request.priority === undefined ? {} : { priority: request.priority }),
      ...(request.startAt === undefined ? {} : { startAt: request.startAt }),
      ...(request.webhook === undefined ? {} : { webhook: request.webhook }),
      policy: deps.policy,
      ...(request.address === undefined ? {} : { address: request.address }),
      ...(deps.sealToken && request.token && request.system ? { sealedToken: deps.sealToken(request.token, id) } : {}),
      ...(request.chain === undefined ? {} : { chain: placeChain(request.chain, deps.settings) }),
      ...(request.retryOf === undefined ? {} : { retryOf: request.retryOf }),
      ...(request.traceparent === undefined ? {} : { traceparent: request.traceparent }),
      ...(request.idempotencyKey === undefined ? {} : { idempotency: idempotencyOf(request) }),
    };
    // Before the accept: nothing is kept that is not recorded, and one sync of Redis's file is enough for both.
    const tellInstead = request.onAccepted?.(id, deadlineAt);
    const accepted = await store.accept(task).catch((thrown: unknown) => {
      if (thrown instanceof RateLimitError) request.onRate?.(thrown.rate);
      const error = whatIsKnown(thrown, request, id);
      tellInstead?.({ error, mayBeKept: mayBeKept(thrown) });
      throw error;
    });
    countAccept(meter, task, accepted);
    if (!accepted.isNew) tellInstead?.({ earlierId: accepted.id });
    if (accepted.rate !== null) request.onRate?.(accepted.rate);
    if (accepted.isNew && accepted.isAdmitted && placement === null) {
      queues.add(queue, ticket).done.catch(() => undefined);
    }
    if (accepted.isNew && request.startAt !== undefined) {
      queues.add(queue, ticket, Math.max(0, request.startAt - Date.now())).done.catch(() => undefined);
    }
    return accepted;
  };

  /** Counts a request of an owner until the answer is called. */
  const countIn = (request: AcceptRequest): (() => void) => {
    const operation = findOperation(request.operation) as Operation;
    const key = `${queueName(operation.lane, request.system)} ${principalKey(request.principal)}`;
    openByOwner.set(key, (openByOwner.get(key) ?? 0) + 1);
    return () => {
      const left = (openByOwner.get(key) ?? 1) - 1;
      if (left > 0) openByOwner.set(key, left);
      else openByOwner.delete(key);
    };
  };

  const counted = async <T>(request: AcceptRequest, work: () => Promise<T>): Promise<T> => {
    const countOut = countIn(request);
    try {
      return await work();
    } finally {
      countOut();
    }
  };

  const owned = async (id: string, principal: Principal): Promise<Task> => {
    if (!taskId.test(id)) throw new BrokerError('TaskNotFound', 'Task not found.');
    const owner = principalKey(principal);
    const task = await store.read(id);
    if (task !== null && task.owner === owner) return task;
    if (task === null && (await store.remembers(owner, id))) {
      throw new BrokerError('TaskExpired', 'The task has ended and is no longer kept.');
    }
    throw new BrokerError('TaskNotFound', 'Task not found.');
  };

  /** The same, and what nobody glances at any more is taken up. */
  const lookedAt = async (id: string, principal: Principal): Promise<Task> => {
    const task = await owned(id, principal);
    void takeUpForsaken(task, deps);
    return task;
  };

  /** Ends a waiting task; asks the worker of an active one. */
  const stop = async (id: string): Promise<void> => {
    await store.requestCancel(id);
    const task = await store.read(id);
    const hasJobs = task !== null && openJobsOf(task).length > 0;
    if (task !== null && (task.notBeforeAt !== null || hasJobs))
      queues.add(task.queue, wakeTicket(task)).done.catch(() => undefined);
    // A journal, or a job of a chain, means that something may exist on the cluster: the worker looks, and ends the task by what is true.
    if (task?.state !== 'pending' || task.journal !== null || hasJobs) return;
    const end = { state: 'canceled', errorJson: canceledByCaller } as const;
    const settled = await store.settle(id, task.fence, end);
    countEnd(meter, task, end, settled);
    if (settled.outcome !== 'settled') return;
    for (const ticket of settled.promoted) queues.add(task.queue, ticket).done.catch(() => undefined);
  };

  /** `isDropped`: nobody else will ask for the result. */
  const outcome = async (id: string, isReplay: boolean, isDropped = false): Promise<Outcome> => {
    const record = await store.readEnd(id);
    if (isDropped && (record?.result?.length ?? 0) > droppedCharsMin) store.dropResult(id).catch(() => undefined);
    if (record === null) throw new BrokerError('TaskExpired', 'The task has ended and is no longer kept.');
    return {
      id,
      isReplay,
      state: record.state,
      ...(record.result === null ? {} : { resultJson: record.result }),
      ...(record.resultUrl === null ? {} : { bodyUrl: record.resultUrl }),
      ...(record.error === null ? {} : { error: JSON.parse(record.error) as StoredError }),
    };
  };

  /** A repeat with the same key waits for the task that the first one made. */
  const joinEarlier = async (id: string, request: AcceptRequest, signal: AbortSignal): Promise<Outcome> => {
    const { ended, abandon } = waiters.wait(id, request.holdMs, request.heldFor);
    try {
      const earlier = await store.readEnd(id);
      const isHeldForMore = request.heldFor !== 'prepared' || earlier?.isPrepared === false;
      if (earlier !== null && !isTerminal(earlier.state) && isHeldForMore) await untilAborted(ended, abandon, signal);
      return await outcome(id, true);
    } finally {
      abandon();
    }
  };

  /** Whether the earlier task of a read's key ended without a result; it changed nothing, and may be tried anew. */
  const hasGivenUp = async (id: string, { operation, insteadOf }: AcceptRequest): Promise<boolean> => {
    if (findOperation(operation)?.mutates !== false || insteadOf !== undefined) return false;
    const end = await store.readEnd(id);
    return end?.state === 'failed' || end?.state === 'canceled';
  };

  const hold = (request: AcceptRequest, signal: AbortSignal) =>
    holdTransfer({ waiters, accept, countIn, stop, outcome: (id) => outcome(id, false) }, request, signal);

  const self: TaskGate = {
    async accept(request) {
      const id = uuidv7();
      const accepted = await accept(request, id);
      return { id: accepted.id, isReplay: !accepted.isNew };
    },

    acceptAndWait: (request, signal) =>
      counted(request, async () => {
        const id = uuidv7();
        const { ended, abandon } = waiters.wait(id, request.holdMs, request.heldFor);
        let accepted: Accepted;
        try {
          accepted = await accept(request, id);
        } catch (error) {
          abandon();
          throw error;
        }
        if (!accepted.isNew) {
          abandon();
          return (await hasGivenUp(accepted.id, request))
            ? self.acceptAndWait({ ...request, insteadOf: accepted.id }, signal)
            : joinEarlier(accepted.id, request, signal);
        }
        const ending = await untilAborted(ended, abandon, signal);
        if (ending?.state === 'completed' && ending.resultJson !== undefined) {
          return { id, isReplay: false, state: ending.state, resultJson: ending.resultJson };
        }
        const isRead = findOperation(request.operation)?.mutates === false;
        if (ending === null && isRead) await stop(id);
        // It was accepted: with the store away a mutation is answered as one that goes on, never as one to repeat.
        return outcome(id, false, isRead).catch((error: unknown): Outcome => {
          if (isRead || !isStoreAway(error)) throw error;
          return { id, isReplay: false, state: 'pending' };
        });
      }),

    async acceptTransfer(request, signal) {
      const transfer = await hold(request, signal);
      if (transfer.isReplay) throw new BrokerError('Internal', 'A request without a key repeats none.');
      return transfer;
    },
    acceptKeyedTransfer: hold,

    beginBatch: (principal, key, fingerprint) => store.rememberBatch(principalKey(principal), key, fingerprint),

    list: (principal, filter) => store.list(principalKey(principal), filter),

    rateOf: (principal) => store.rateOf(principalKey(principal)),

    countOpen: (principal, queueNames) => store.countOpen(principalKey(principal), queueNames),

    get: lookedAt,
    find: async (id) => (taskId.test(id) ? store.read(id) : null),

    async wait(id, principal, waitMs, signal) {
      const { ended, abandon } = waiters.wait(id, waitMs);
      try {
        const task = await lookedAt(id, principal);
        if (isTerminal(task.state)) return task;
        await untilAborted(ended, abandon, signal);
        return await owned(id, principal);
      } finally {
        abandon();
      }
    },

    async hurry(id, principal) {
      const task = await owned(id, principal);
      if (isTerminal(task.state)) throw new BrokerError('TaskConflict', `The task has ended; it is ${task.state}.`);
      if (task.notBeforeAt !== null) await queues.add(task.queue, wakeTicket(task)).done;
      return task;
    },

    async cancel(id, principal) {
      const task = await owned(id, principal);
      if (isTerminal(task.state)) return task;
      await stop(id);
      return owned(id, principal);
    },
  };
  return self;
}

function idempotencyOf({ idempotencyKey: key = '', fingerprint = '-', insteadOf }: AcceptRequest) {
  return { key, fingerprint, ...(insteadOf === undefined ? {} : { insteadOf }) };
}
