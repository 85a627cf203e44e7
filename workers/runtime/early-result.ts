/** A result that the held request has before it is kept: a sync of Redis's file less on the way to the client. */
import { beginsWithClaim, type Operation } from '../../shared/operations/operation.ts';
import type { TaskEnd, TaskStore } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';

/** Largest result that is told early. */
const charsMax = 4_096;

/** With more results than this on their way their number counts, not the time of one: nothing is told twice then. */
const atOnceMax = 4;
let atOnce = 0;

/**
 * Tells the result where a second run would do no harm: that of a read, or of an operation whose journal leads whoever takes
 * the task over to the same result. Never throws: the result is told again with the end.
 */
export async function tellEarly(
  store: Pick<TaskStore, 'tellEarly'>,
  operation: Operation,
  task: Pick<Task, 'id' | 'isHeld' | 'replyTo'>,
  end: TaskEnd,
): Promise<void> {
  if (!('resultJson' in end) || end.resultJson.length > charsMax) return;
  if (!task.isHeld || task.replyTo === null || beginsWithClaim(operation) || atOnce >= atOnceMax) return;
  atOnce += 1;
  try {
    await store.tellEarly(task, end.resultJson);
  } catch {
    // The end tells it.
  } finally {
    atOnce -= 1;
  }
}
