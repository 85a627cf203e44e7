/** Why a claimed task is not run: what stands against it in its record, or who may grant it. */
import { consentExpired } from '../../shared/authorization/check-consent.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { settlingMs } from '../../shared/tasks/consent.ts';
import type { TaskState } from '../../shared/tasks/states.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { isInBackground, type StillAllowed } from './still-allowed.ts';

/** Why a claimed task is not run, or null. A journal means that something may have been done: then the handler looks. */
export function findObstacle(
  task: Task,
  from: TaskState,
  operation: Operation | undefined,
  attemptsMax: number,
): BrokerError | null {
  const isTakeOver = from === 'active';
  if (isTakeOver && operation?.recover === 'unknown') {
    return new BrokerError('OutcomeUnknown', 'The worker was lost while it ran the task; its effect is not known.');
  }
  if (operation?.recover === 'verify' && task.journal !== null) {
    // Nothing is done for ever: after that not even what would stop what was begun.
    return Date.now() >= task.deadlineAt + settlingMs ? consentExpired(task.deadlineAt) : null;
  }
  if (task.attempt - task.handBacks > attemptsMax) {
    return new BrokerError('WorkerLost', `The task was given up after ${attemptsMax} attempts.`);
  }
  if (operation?.recover === 'verify' && isTakeOver) return null;
  if (task.isCancelRequested) return new BrokerError('TaskCanceled', 'The task was canceled.');
  if (Date.now() >= task.deadlineAt) {
    return new BrokerError('DeadlineExceeded', 'The deadline passed before the task could run.');
  }
  return null;
}

/** Why work in the background may not go on. Of what is stopped anyway nobody is asked. */
export async function refusalOf(
  stillAllowed: StillAllowed,
  operation: Operation,
  task: Task,
): Promise<BrokerError | null> {
  if (!isInBackground(task) || task.isCancelRequested || Date.now() >= task.deadlineAt) return null;
  return stillAllowed(operation, task);
}

/** Whether that ends the task; otherwise it is asked again. */
export function endsWork({ code }: BrokerError): boolean {
  return code === 'Forbidden' || code === 'ConsentExpired';
}

/** Whether an earlier attempt may have begun something on the cluster. */
export function isBegun({ recover }: Operation, { journal }: Task, from: TaskState): boolean {
  return journal !== null || (recover === 'verify' && from === 'active');
}
