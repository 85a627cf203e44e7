/**
 * One ticket's way: claim the task, run the handler, store the outcome. Whatever happens, a task that was claimed
 * here either ends, goes back to `pending`, or is left to the worker that took it over.
 */
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import type { AuditTrail } from '../../shared/audit/trail.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { beginsWithClaim, type Operation } from '../../shared/operations/operation.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import type { TaskTicket } from '../../shared/platform/queues.ts';
import type { Peeked } from '../../shared/platform/task-answers.ts';
import type { Claimed, TaskEnd } from '../../shared/platform/task-store.ts';
import type { TaskState } from '../../shared/tasks/states.ts';
import type { Progress, Task } from '../../shared/tasks/task.ts';
import type { Journal } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import { holdToConsent, settledSoonAfterAbort } from './bounded-attempt.ts';
import type { Cancellations } from './cancellations.ts';
import { type EndDependencies, endingOf, endOf, fail, finish, release } from './end-attempt.ts';
import { timeoutReason, untilDeadlineMs, whatFailed } from './failed-attempt.ts';
import type { Glances } from './glances.ts';
import { createGrip, type Grip } from './grip.ts';
import { endsWork, findObstacle, isBegun, refusalOf } from './obstacles.ts';
import { parkTask } from './park-task.ts';
import { parseStored } from './parse-stored.ts';
import { attemptRecorder, recordAttempt } from './record-work.ts';
import type { RunWatch } from './run-watch.ts';
import type { StillAllowed } from './still-allowed.ts';
import { type ResultBounds, successOf } from './success-of.ts';
import type { Taking } from './taking.ts';
import { tellFirst } from './tell-first.ts';

/** What one attempt is given to build its handler's context from. */
export interface Attempt {
  task: Task;
  /** Parsed again by the operation's schema: API and worker may be of different versions. */
  input: unknown;
  signal: AbortSignal;
  journal: Journal;
  /** The claim of a mutation, which may still be under way: nothing is changed before it resolves. WorkerLost. */
  claimed: Promise<void>;
  log: Logger;
}

export interface TaskRunnerDependencies extends ResultBounds, EndDependencies {
  cancellations: Cancellations;
  /** Of the tasks that are laid by here. */
  glances: Pick<Glances, 'hasRoom' | 'begin'>;
  /** Runs the operation's handler and returns its result, not yet checked. */
  perform: (operation: Operation, attempt: Attempt) => Promise<unknown>;
  /** Asked before work in the background, and while it runs. */
  stillAllowed: StillAllowed;
  /** How often it is asked while an attempt runs; null: nobody can take a permission back. */
  askEveryMs: number | null;
  worker: string;
  trail: Pick<AuditTrail, 'append' | 'requireWritable'>;
  runs?: Pick<RunWatch, 'begin'>;
  log: Logger;
}

export interface TaskRunner {
  /** Never throws for what a task did; throws only when the store itself refuses to work. */
  run(ticket: TaskTicket, entryId: string, early?: EarlyRun): Promise<void>;
  /** Whether a task that stands so may begin before its entry is taken. */
  mayBeginEarly(ticket: TaskTicket, record: Peeked): boolean;
}

/** A run that begins before its entry is taken, or with one that was taken for this worker. */
export interface EarlyRun {
  /** The task as it was read a moment ago. */
  record?: Peeked;
  /** Nothing of the run is written where this worker did not get the entry. */
  taking: Taking;
  /** The claim, where it was made for this worker; `record` is the task as it left it. */
  claimed?: Claimed;
}

/** A read that runs longer than this is claimed, so that its task shows as active and others keep off. */
const unclaimedReadMs = 50;

export function createTaskRunner(deps: TaskRunnerDependencies): TaskRunner {
  return {
    mayBeginEarly: (ticket, record) => !deps.cancellations.isStopping() && mayBeginUnclaimed(ticket, record),

    async run(ticket, entryId, early) {
      // Before anything is read here: a cancel that comes between two reads is heard all the same.
      const controller = new AbortController();
      setMaxListeners(0, controller.signal); // each command and request of a handler listens
      const unwatch = deps.cancellations.watch(ticket.id, controller);
      early?.taking.isOurs.then((isOurs) => {
        if (!isOurs) controller.abort(new BrokerError('WorkerLost', 'Another worker has taken the task.'));
      });
      try {
        const record = deps.cancellations.wasHeard(ticket.id) ? undefined : early?.record;
        const grip = createGrip(deps.store, ticket, entryId, deps.worker, early?.taking, early?.claimed);
        if (early?.claimed === undefined) await take(deps, ticket, grip, controller, record);
        else await takeClaimed(deps, grip, controller, early.claimed, record?.task);
      } finally {
        unwatch();
      }
    },
  };
}

async function take(
  deps: TaskRunnerDependencies,
  ticket: TaskTicket,
  grip: Grip,
  controller: AbortController,
  known: Peeked | undefined,
): Promise<void> {
  if (known === undefined && ticket.isMutation && !deps.cancellations.isStopping()) {
    await claimAndBegin(deps, grip, ticket, controller);
    return;
  }
  const seen = known ?? (await deps.store.peek(ticket.id));
  if (seen === null || !seen.isAdmitted) {
    deps.log.debug({ task: ticket.id, isGone: seen === null }, 'ticket is of no use');
    return;
  }
  const { task: record } = seen;
  if (deps.cancellations.isStopping()) {
    // Not begun here any more; another worker need not wait until this entry is seen as stalled.
    await deps.queues.add(record.queue, { ...ticket, via: 'stop' }).done;
    return;
  }
  if (!mayBeginUnclaimed(ticket, seen)) {
    await claimAndBegin(deps, grip, ticket, controller);
    return;
  }
  const operation = findOperation(record.operation);
  // Before all else: what is prepared and looked at meanwhile takes less time than the sync of Redis's file.
  if (operation !== undefined && beginsWithClaim(operation)) await grip.sendClaim();
  // What the claim will make of it.
  await begin(deps, grip, controller, { ...record, attempt: record.attempt + 1 }, 'pending');
}

/** Goes on with a task that was claimed for this worker. It is read again where it is not known how it stands now. */
async function takeClaimed(
  deps: TaskRunnerDependencies,
  grip: Grip,
  controller: AbortController,
  claimed: Claimed,
  known: Task | undefined,
): Promise<void> {
  const { id } = claimed.task;
  const task = known ?? (await deps.store.read(id));
  if (task?.state !== 'active' || task.fence !== claimed.fence) {
    deps.log.debug({ task: id, isGone: task === null }, 'what was handed over is of no use any more');
  } else if (deps.cancellations.isStopping()) {
    await release(deps, grip, { isHandBack: true, delayMs: 0 }, deps.log);
  } else await begin(deps, grip, controller, task, claimed.from);
}

/** Whether the claim may come later: with the outcome of a read, with the journal, or along with the look at the paths. */
function mayBeginUnclaimed({ fence }: TaskTicket, { task, isAdmitted }: Peeked): boolean {
  const operation = findOperation(task.operation);
  if (operation === undefined || !isAdmitted) return false;
  // Only the claim knows of a wish to cancel what was tried before.
  const isFirst = task.attempt === 0 || !beginsWithClaim(operation);
  return isFirst && task.journal === null && task.state === 'pending' && task.fence === fence;
}

async function claimAndBegin(
  deps: TaskRunnerDependencies,
  grip: Grip,
  ticket: TaskTicket,
  controller: AbortController,
): Promise<void> {
  const claim = await grip.claim();
  if (claim.outcome === 'claimed') await begin(deps, grip, controller, claim.task, claim.from);
  else deps.log.debug({ task: ticket.id, fence: ticket.fence, outcome: claim.outcome }, 'ticket is of no use');
}

async function begin(
  deps: TaskRunnerDependencies,
  grip: Grip,
  controller: AbortController,
  task: Task,
  from: TaskState,
): Promise<void> {
  const log = deps.log.child({ task: task.id, operation: task.operation, requestId: task.requestId });
  const operation = findOperation(task.operation);
  const obstacle = findObstacle(task, from, operation, deps.attemptsMax);
  if (from === 'active') recordAttempt(deps.trail, { task, operation }, { decision: 'taken over' });
  if (operation === undefined || obstacle !== null) {
    const error = obstacle ?? new BrokerError('NotSupported', `This worker does not know ${task.operation}.`);
    recordAttempt(deps.trail, { task, operation }, endingOf(error));
    await finish(deps, grip, task, endOf(error), log);
    return;
  }
  const refusal = await refusalOf(deps.stillAllowed, operation, task);
  if (refusal !== null && !endsWork(refusal)) {
    log.info({ code: refusal.code, detail: refusal.detail }, 'it cannot be found out whether the task may still run');
    await release(deps, grip, { isHandBack: true, delayMs: askAgainMs }, log);
    return;
  }
  if (refusal === null) await attempt(deps, operation, grip, controller, task, log);
  else if (isBegun(operation, task, from)) {
    // What an earlier attempt began is stopped as if it were canceled.
    await attempt(deps, operation, grip, controller, { ...task, isCancelRequested: true }, log, refusal);
  } else {
    recordAttempt(deps.trail, { task, operation }, endingOf(refusal));
    await finish(deps, grip, task, endOf(refusal), log);
  }
}

/** Time until it is asked again whether a task may run, where that could not be found out. */
const askAgainMs = 2_000;

async function attempt(
  deps: TaskRunnerDependencies,
  operation: Operation,
  grip: Grip,
  controller: AbortController,
  task: Task,
  log: Logger,
  refusal?: BrokerError,
): Promise<void> {
  const endRun = deps.runs?.begin(task, grip.isOurs);
  const limit = limitTime(task, operation, controller);
  const claimTimer = setTimeout(() => void grip.claim().catch(() => undefined), unclaimedReadMs);
  // The paths of a mutation are looked at while it is claimed; its handler begins when it is.
  const isClaimedFirst = beginsWithClaim(operation);
  const letGo = refusal === undefined ? holdToConsent(deps, operation, task, controller) : () => undefined;
  const recordEnd = attemptRecorder(deps.trail, { task, operation });
  let outcome: TaskEnd | BrokerError | Parked;
  try {
    const input = parseStored(operation, task);
    const journal = createJournal(grip, task, limit.prolong);
    const claimed = isClaimedFirst ? grip.hold() : Promise.resolve();
    claimed.catch(() => undefined); // told to whoever waits for it
    const raw = await settledSoonAfterAbort(
      deps.perform(operation, { task, input, signal: controller.signal, journal, log, claimed }),
      operation,
      controller.signal,
    );
    outcome = raw instanceof Parked ? raw : successOf(deps, operation, task, raw);
  } catch (thrown) {
    outcome = whatFailed(thrown, operation, task, controller.signal);
    if (refusal !== undefined && outcome.code === 'TaskCanceled') outcome = refusal;
  } finally {
    endRun?.();
    letGo();
    clearTimeout(claimTimer);
    limit.lift();
  }
  if (isClaimedFirst && (await grip.claim()).outcome !== 'claimed') {
    log.debug('ticket is of no use');
    return;
  }
  // Outside of the try: a store that refuses the outcome does not make it another one.
  if (!(outcome instanceof Parked)) recordEnd(endingOf(outcome));
  if (outcome instanceof Parked) await parkTask(deps, grip, outcome, controller.signal, log);
  else if (outcome instanceof BrokerError) await fail(deps, operation, grip, task, outcome, log);
  else await finish(deps, grip, task, await tellFirst(deps.store, grip, operation, task, outcome), log);
}

/** Stops the attempt at its time limit, or at the task's deadline; each call of `prolong` begins the limit anew. */
function limitTime(task: Task, operation: Operation, controller: AbortController) {
  const begin = (): NodeJS.Timeout => {
    const untilMs = untilDeadlineMs(task, operation);
    const stop = (): void => controller.abort(timeoutReason(task, operation, untilMs));
    return setTimeout(stop, Math.max(1, Math.min(operation.timeoutMs, untilMs)));
  };
  let timer = begin();
  const lift = (): void => clearTimeout(timer);
  return {
    lift,
    prolong(): void {
      lift();
      timer = begin();
    },
  };
}

function createJournal(grip: Grip, task: Task, prolong: () => void): Journal {
  const write = async (entry: Record<string, unknown>, progress?: Progress): Promise<void> => {
    const isOurs = await grip.journal(entry, progress);
    if (!isOurs) throw new BrokerError('WorkerLost', 'Another worker has taken the task over.');
  };
  return {
    entry: task.journal,
    write: (entry) => write(entry),
    async writeMoving(entry, progress) {
      prolong();
      await write(entry, progress);
    },
  };
}
