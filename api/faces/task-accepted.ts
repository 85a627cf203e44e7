/** The 202 answer (RFC 9110, section 15.3.3): where the task is, when to look, and the task as it stands. */
import { type Task, viewTask } from '../../shared/tasks/task.ts';
import type { AppConfig, AppContext } from '../http/app-env.ts';
import { jsonResponse } from '../http/json-response.ts';
import { linkTo } from '../http/links.ts';

/** Seconds a client is asked to wait before it looks at a task that has not ended. */
export const pollAfterSeconds = 1;

export function taskLocation(config: AppConfig, id: string): string {
  return linkTo(config.api, `/tasks/${id}`);
}

export function acceptedResponse(
  c: AppContext,
  config: AppConfig,
  task: Task,
  extra: Record<string, string> = {},
): Response {
  return jsonResponse(c, 202, viewTask(task), {
    location: taskLocation(config, task.id),
    'retry-after': String(pollAfterSeconds),
    ...extra,
  });
}
