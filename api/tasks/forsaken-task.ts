/** A task whose worker glances at it no more: whoever asks for its progress has it taken up, before its own entry would be. */
import type { QueueAdder } from '../../shared/platform/queues.ts';
import type { TaskStore } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { wakeTicket } from './wake-ticket.ts';

/** A worker glances each 0.9 s. One that misses two is lost, or too busy to tell. */
const glanceMsMax = 2_000;

/** Whether it seems so by the clock here. Redis is asked only then: its clock is the one that counts. */
export function seemsForsaken(
  { glancedAt, notBeforeAt }: Pick<Task, 'glancedAt' | 'notBeforeAt'>,
  now: number,
): boolean {
  return glancedAt !== null && notBeforeAt !== null && now - glancedAt > glanceMsMax;
}

/** Nobody waits for it, and it never rejects: where it fails, the entry that stands in the queue is due soon. */
export async function takeUpForsaken(
  task: Task,
  { store, queues }: { store: Pick<TaskStore, 'isForsaken'>; queues: Pick<QueueAdder, 'add'> },
): Promise<void> {
  if (!seemsForsaken(task, Date.now())) return;
  const isForsaken = await store.isForsaken(task.id, glanceMsMax).catch(() => false);
  if (isForsaken) await queues.add(task.queue, wakeTicket(task)).done.catch(() => undefined);
}
