/** A small result of a read that runs alone is told to the request that waits for it before it is stored, whose sync nobody waits for then. */
import type { Operation } from '../../shared/operations/operation.ts';
import { repliedBytesMax } from '../../shared/platform/task-scripts.ts';
import type { TaskEnd, TaskStore } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';
import type { Grip } from './grip.ts';

/**
 * The end as it is to be stored, after whoever waits was told of it where that may be: the task is accepted for sure, a read that
 * nobody else knows of, and its entry is this worker's alone. Never rejects; who was not told hears of it with the end.
 */
export async function tellFirst(
  store: Pick<TaskStore, 'tellResult'>,
  { isHanded }: Pick<Grip, 'isHanded'>,
  operation: Operation,
  task: Task,
  end: TaskEnd,
): Promise<TaskEnd> {
  if (!isHanded || !task.isToldFirst || !('resultJson' in end)) return end;
  // The client has its bytes; the record alone says how that ended.
  if (operation.bytes !== undefined) return end;
  if (Buffer.byteLength(end.resultJson) > repliedBytesMax) return end;
  // Waited for: in one write with what stores it, Redis would send it after the sync.
  const heardBy = await store.tellResult(task, end.resultJson).catch(() => 0);
  return heardBy > 0 ? { ...end, isTold: true } : end;
}
