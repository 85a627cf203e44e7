/** The outcome of an attempt that has nothing to do for a while: its task is laid by until it is looked at again. */
import type { Logger } from 'pino';
import type { QueueAdder } from '../../shared/platform/queues.ts';
import type { TaskStore } from '../../shared/platform/task-store.ts';
import type { Parked } from '../operations/parked.ts';
import { claimedTask, type Grip } from './grip.ts';

/** Lays the task by. One that is to be canceled or whose worker stops is looked at again at once. */
export async function parkTask(
  deps: { store: Pick<TaskStore, 'park'>; queues: Pick<QueueAdder, 'add'> },
  grip: Grip,
  parked: Parked,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const task = await claimedTask(grip, log);
  if (task === null) return;
  const { waitMs, ...options } = parked.options;
  // The queue takes whole milliseconds; with a fraction, an entry comes seconds late.
  const delayMs = signal.aborted ? 0 : Math.round(waitMs);
  const result = await deps.store.park(task.id, task.fence, { ...options, notBeforeAt: Date.now() + delayMs });
  if (result.outcome !== 'parked') {
    log.warn({ outcome: result.outcome }, 'the task had moved on');
    return;
  }
  const { ticket, promoted } = result;
  await Promise.all([
    ...(ticket === null ? [] : [deps.queues.add(task.queue, ticket, delayMs).done]),
    ...promoted.map((next) => deps.queues.add(task.queue, next).done),
  ]);
}
