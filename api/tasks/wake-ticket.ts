/** What has a task looked at now that is laid by. */
import type { TaskTicket } from '../../shared/platform/queues.ts';
import type { Task } from '../../shared/tasks/task.ts';

/** A worker glances each 0.9 s. One that misses two is lost, or too busy to tell. */
const glanceMsMax = 2_000;

/**
 * Whether nobody glances any more at a task that is laid by: whoever asks for its progress has it taken up, before its own
 * entry would be.
 */
export function isForsaken({ glancedAt, notBeforeAt }: Pick<Task, 'glancedAt' | 'notBeforeAt'>, now: number): boolean {
  return glancedAt !== null && notBeforeAt !== null && now - glancedAt > glanceMsMax;
}

/** Added twice between two looks it is one. */
export function wakeTicket({ id, fence, state }: Pick<Task, 'id' | 'fence' | 'state'>): TaskTicket {
  const claimed = state === 'active' ? { fence: fence - 1, isTakeOver: true } : { fence };
  return { id, ...claimed, via: 'wake', isMutation: true };
}
