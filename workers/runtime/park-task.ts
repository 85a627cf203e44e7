/** The outcome of an attempt that has nothing to do for a while: its task is laid by until it is looked at again. */
import type { Logger } from 'pino';
import type { QueueAdder } from '../../shared/platform/queues.ts';
import type { TaskStore } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';
import type { Parked } from '../operations/parked.ts';
import type { Glances } from './glances.ts';
import { claimedTask, type Grip } from './grip.ts';

export interface ParkDependencies {
  store: Pick<TaskStore, 'park'>;
  queues: Pick<QueueAdder, 'add'>;
  glances: Pick<Glances, 'hasRoom' | 'begin'>;
  /** How often it is asked whether a task may go on; null: nobody can take a permission back. */
  askEveryMs: number | null;
}

/** Lays the task by. One that is to be canceled or whose worker stops is looked at again at once. */
export async function parkTask(
  deps: ParkDependencies,
  grip: Grip,
  parked: Parked,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const task = await claimedTask(grip, log);
  if (task === null) return;
  const { waitMs: _waitMs, glance, ...options } = parked.options;
  const isGlancedAt = glance !== undefined && deps.glances.hasRoom();
  // The queue takes whole milliseconds; with a fraction, an entry comes seconds late.
  const delayMs = signal.aborted ? 0 : Math.round(untilLookMs(deps, task, parked, isGlancedAt));
  const notBeforeAt = Date.now() + delayMs;
  const result = await deps.store.park(task.id, task.fence, { ...options, notBeforeAt, isGlancedAt });
  if (result.outcome !== 'parked') {
    log.warn({ outcome: result.outcome }, 'the task had moved on');
    return;
  }
  const { ticket, promoted } = result;
  const placement = ticket === null ? null : deps.queues.add(task.queue, ticket, delayMs);
  await Promise.all([placement?.done, ...promoted.map((next) => deps.queues.add(task.queue, next).done)]);
  if (placement !== null && isGlancedAt && delayMs > 0) deps.glances.begin(task, placement.entryId, glance);
}

/** A glance asks nobody whether the task may go on, and does not end it: a look comes when that is due. */
function untilLookMs(
  { askEveryMs }: ParkDependencies,
  { deadlineAt }: Task,
  { options: { waitMs, glance } }: Parked,
  isGlancedAt: boolean,
): number {
  if (glance === undefined) return waitMs;
  const soonMs = glance.waitMs();
  if (!isGlancedAt) return soonMs;
  return Math.max(soonMs, Math.min(waitMs, askEveryMs ?? waitMs, deadlineAt - Date.now()));
}
