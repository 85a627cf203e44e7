/** The 202 answer (RFC 9110, section 15.3.3): where the task is, when to look, and the task as it stands. */
import type { z } from 'zod';
import { type Task, taskView, viewTask } from '../../shared/tasks/task.ts';
import type { AppConfig, AppContext } from '../http/app-env.ts';
import { jsonResponse } from '../http/json-response.ts';
import { linkTo } from '../http/links.ts';
import { type Preferences, preferenceApplied } from '../http/prefer.ts';

/** Seconds a client is asked to wait before it looks at a task that has not ended. */
export const pollAfterSeconds = 1;

/** What `Prefer: return=minimal` leaves of a task. */
export const taskMinimalView = taskView.pick({ id: true, state: true });

export function viewTaskAs(task: Task, wish: Preferences['return']): z.infer<typeof taskMinimalView> {
  return wish === 'minimal' ? { id: task.id, state: task.state } : viewTask(task);
}

export function taskLocation(config: AppConfig, id: string): string {
  return linkTo(config.api, `/tasks/${id}`);
}

/** `preferences` are those that were applied. */
export function acceptedResponse(
  c: AppContext,
  config: AppConfig,
  task: Task,
  preferences: Preferences,
  extra: Record<string, string> = {},
): Response {
  const headers = { ...acceptedHeaders(config, task, preferences), ...extra };
  return jsonResponse(c, 202, viewTaskAs(task, preferences.return), headers);
}

/** Its headers. */
export function acceptedHeaders(config: AppConfig, task: Task, preferences: Preferences): Record<string, string> {
  return {
    location: taskLocation(config, task.id),
    'retry-after': String(pollAfterSeconds),
    vary: 'Prefer',
    ...preferenceApplied(preferences),
  };
}
