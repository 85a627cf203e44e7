/** For handlers that run once more only to look what an earlier attempt did: nothing new is begun for a task nobody wants. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { BrokerContext } from './operation-context.ts';

/** Throws TaskCanceled, DeadlineExceeded, or the reason of the signal. */
export function refuseUnwanted({ signal, task }: Pick<BrokerContext, 'signal' | 'task'>): void {
  if (task.isCancelRequested) throw new BrokerError('TaskCanceled', 'The task was canceled.');
  if (Date.now() >= task.deadlineAt) throw new BrokerError('DeadlineExceeded', 'The deadline of the task passed.');
  signal.throwIfAborted();
}
