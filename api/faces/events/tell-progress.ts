/** How far a task has come, on the stream of its events: as it was last told, anew when it has changed. */
import { findOperation } from '../../../shared/operations/registry.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import type { Task } from '../../../shared/tasks/task.ts';
import type { AppDeps } from '../../http/app-env.ts';
import { type EventStream, eventText } from '../../http/event-stream.ts';

/** Those who move bytes tell of it each second. */
const lookMs = 900;

/**
 * Sends `task.progress` until the stream or the task has ended. It has no id: it is kept nowhere, and a client that comes
 * back is told of what is then. Only of tasks that move bytes, or have a step that does.
 */
export function tellProgress({ gate, log }: Pick<AppDeps, 'gate' | 'log'>, stream: EventStream, task: Task): void {
  const names = [task.operation, ...(task.chain?.steps.map(({ operation }) => operation) ?? [])];
  if (isTerminal(task.state) || !names.some((name) => findOperation(name)?.lane === 'move')) return;
  let told = '';
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    try {
      const { progress } = await gate.get(task.id, task.principal);
      const data = JSON.stringify({ taskId: task.id, progress });
      if (progress !== null && data !== told) stream.send(eventText({ type: 'task.progress', data }));
      told = data;
    } catch (error) {
      log.debug({ err: error, task: task.id }, 'the progress could not be read');
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => void look(), lookMs);
  stream.signal.addEventListener('abort', () => clearInterval(timer));
}
