/** What ends an attempt that does not end well: its time, and what its handler threw. */
import { BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import type { Task } from '../../shared/tasks/task.ts';

/** Whether something may have been begun that a later attempt finds out about, or stops. */
function isSettledLater(task: Task, operation: Operation): boolean {
  return operation.recover === 'verify' && task.journal !== null;
}

/**
 * A submission whose intent is written down is looked up even past its deadline: the truth has no deadline. Other work is
 * broken off there, and what was begun of it is stopped after that.
 */
export function untilDeadlineMs(task: Task, operation: Operation): number {
  const leftMs = task.deadlineAt - Date.now();
  const isFoundOut = isSettledLater(task, operation) && (operation.journalsFirst === true || leftMs <= 0);
  return isFoundOut ? operation.timeoutMs : leftMs;
}

/**
 * Why an attempt is told to stop that ran for as long as it may. `untilMs`: how far off its deadline was when its timer was
 * set; a timer may fire a moment before the clock says so.
 */
export function timeoutReason(task: Task, operation: Operation, untilMs: number): BrokerError {
  if (untilMs < operation.timeoutMs || Date.now() >= task.deadlineAt)
    return new BrokerError('DeadlineExceeded', 'The deadline of the task passed.');
  return new BrokerError('CommandTimeout', `The operation took longer than ${operation.timeoutMs / 1_000} s.`);
}

/** Errors of the broker's own that say nothing about what an earlier attempt did on the cluster. */
const brokerFaults: ReadonlySet<ErrorCode> = new Set([
  'StoreUnavailable',
  'Internal',
  'SystemNotFound',
  'NotSupported',
]);

/** What ended an attempt: an abort of ours outranks the error it provoked, except where that one says more. */
export function whatFailed(thrown: unknown, operation: Operation, task: Task, signal: AbortSignal): BrokerError {
  const error = toBrokerError(thrown);
  const reason: unknown = signal.reason;
  const isAbort = signal.aborted && reason instanceof BrokerError;
  const says = ['SubmissionInDoubt', 'OutcomeUnknown', 'WorkerLost'].includes(error.code);
  const cause = isAbort && !says && error.code !== reason.code ? reason : error;
  const isOpen = operation.recover === 'verify' && task.journal?.phase === 'intended';
  if (!isOpen || !brokerFaults.has(cause.code)) return cause;
  return new BrokerError('SubmissionInDoubt', cause.message, { cause, retryAfterSeconds: 5 });
}
