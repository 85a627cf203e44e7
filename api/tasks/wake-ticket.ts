/** What has a task looked at now that is laid by. */
import type { TaskTicket } from '../../shared/platform/queues.ts';
import type { Task } from '../../shared/tasks/task.ts';

/** Added twice between two looks it is one. */
export function wakeTicket({ id, fence, state }: Pick<Task, 'id' | 'fence' | 'state'>): TaskTicket {
  const claimed = state === 'active' ? { fence: fence - 1, isTakeOver: true } : { fence };
  return { id, ...claimed, via: 'wake', isMutation: true };
}
