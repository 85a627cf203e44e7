/**
 * What follows an attempt: its task ends, goes back to `pending`, or is left to the worker that took it over. The retry policy
 * decides which; an outcome waits for a store that cannot write.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { BrokerError, toStoredError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import type { QueueAdder } from '../../shared/platform/queues.ts';
import type { Settlement, TaskEnd, TaskStore } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { cancelOpenJobs } from './cancel-jobs.ts';
import { claimedTask, type Grip } from './grip.ts';
import { nextAttemptDelayMs } from './retry-policy.ts';

export interface EndDependencies {
  store: TaskStore;
  queues: QueueAdder;
  /** Cancels the jobs of a canceled chain. */
  perform: Parameters<typeof cancelOpenJobs>[0];
  attemptsMax: number;
  /** Told of each attempt to end a task, with what became of it. */
  onEnded?: OnEnded;
}

export type OnEnded = (task: Task, end: TaskEnd, settled: Settlement) => void;

/** Longest time an outcome waits for a store that cannot write. */
const settleMsMax = 300_000;

const endDecisions: Partial<Record<ErrorCode, string>> = {
  TaskCanceled: 'canceled',
  Forbidden: 'denied',
  ConsentExpired: 'denied',
};

/** How an attempt ended, for its audit record. An attempt that failed may be followed by another one. */
export function endingOf(outcome: TaskEnd | BrokerError): { decision: string; why?: string } {
  if (!(outcome instanceof BrokerError)) return { decision: outcome.state };
  const decision = endDecisions[outcome.code] ?? 'failed';
  return { decision, why: `${outcome.code}: ${outcome.message}` };
}

const stoppedMidway = 'The worker was stopped while it ran the task; its effect is not known.';

/** Ends the task, or lets it be tried again where the policy says so. */
export async function fail(
  deps: EndDependencies,
  operation: Operation,
  grip: Grip,
  task: Task,
  error: BrokerError,
  log: Logger,
): Promise<void> {
  if (error.code === 'Internal') log.error({ err: error.cause ?? error, detail: error.detail }, 'attempt failed');
  else log.info({ code: error.code, message: error.message, detail: error.detail }, 'attempt failed');
  if (error.code === 'ShuttingDown') {
    if (operation.recover !== 'unknown') await release(deps, grip, { isHandBack: true, delayMs: 0 }, log);
    else await finish(deps, grip, task, endOf(new BrokerError('OutcomeUnknown', stoppedMidway)), log);
    return;
  }
  const delayMs = nextAttemptDelayMs(
    {
      error,
      attempt: task.attempt - task.handBacks,
      attemptsMax: deps.attemptsMax,
      recover: operation.recover,
      now: Date.now(),
      deadlineAt: task.deadlineAt,
    },
    Math.random,
  );
  if (delayMs !== null) await release(deps, grip, { isHandBack: false, delayMs }, log);
  else if (error.code === 'SubmissionInDoubt') {
    const unknown = new BrokerError(
      'OutcomeUnknown',
      `It could not be settled whether the job was accepted: ${error.message}`,
    );
    await finish(deps, grip, task, endOf(unknown), log);
  } else await finish(deps, grip, task, endOf(error), log);
}

/** How a task ends that failed. */
export function endOf(error: BrokerError): TaskEnd {
  return {
    state: error.code === 'TaskCanceled' ? 'canceled' : 'failed',
    errorJson: JSON.stringify(toStoredError(error)),
  };
}

/** Time until a job of a canceled chain is tried again that could not be canceled. */
const cancelAgainMs = 5_000;

/** Stores the end, and lets through what waited for it. */
export async function finish(deps: EndDependencies, grip: Grip, task: Task, wish: TaskEnd, log: Logger): Promise<void> {
  let end = wish;
  if (end.state === 'canceled') {
    const left = await cancelOpenJobs(deps.perform, task, log);
    if (left !== null && Date.now() < task.deadlineAt) {
      await release(deps, grip, { isHandBack: true, delayMs: cancelAgainMs }, log);
      return;
    }
    if (left !== null) end = endOf(left);
  }
  const settled = await settleStubbornly(grip, end, log);
  deps.onEnded?.(task, end, settled);
  await promote(deps, task, settled, log);
}

/** What was done is not undone by a store that cannot write just now: it is asked again until it can, or too long. */
async function settleStubbornly(grip: Grip, end: TaskEnd, log: Logger): Promise<Settlement> {
  for (let waitMs = 100, waitedMs = 0; ; waitMs = Math.min(2 * waitMs, 2_000)) {
    try {
      return await grip.settle(end);
    } catch (error) {
      const mayPass = error instanceof BrokerError && error.code === 'StoreUnavailable';
      if (!mayPass || waitedMs > settleMsMax) throw error;
      log.warn({ err: error, waitedMs }, 'the outcome could not be stored yet');
    }
    await sleep(waitMs);
    waitedMs += waitMs;
  }
}

/** Gives the task back, for another attempt after a delay. */
export async function release(
  deps: EndDependencies,
  grip: Grip,
  { isHandBack, delayMs }: { isHandBack: boolean; delayMs: number },
  log: Logger,
): Promise<void> {
  const task = await claimedTask(grip, log);
  if (task === null) return;
  const { id, fence, handBacks, queue } = task;
  const released = await deps.store.release(id, fence, { isHandBack, handBacks });
  if (released.outcome !== 'settled') {
    log.warn({ outcome: released.outcome }, 'the task had moved on');
    return;
  }
  await deps.queues.add(queue, { id, fence }, delayMs).done;
}

/** Adds the entries of the tasks that the end of this one let through. A lost add is made up for by the sweeper. */
async function promote(deps: EndDependencies, task: Task, settled: Settlement, log: Logger): Promise<void> {
  if (settled.outcome !== 'settled') {
    log.warn({ outcome: settled.outcome }, 'the outcome came too late and was dropped');
    return;
  }
  const { promoted, next } = settled;
  await Promise.all([
    ...promoted.map((ticket) => deps.queues.add(task.queue, ticket).done),
    ...(next?.promoted ?? []).map((ticket) => deps.queues.add(next?.queue ?? task.queue, ticket).done),
  ]);
}
