/** GET and DELETE /tasks/{id}: the task as it stands, cheap to poll (ETag) or held until it ends (`Prefer: wait=N`). */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import { type Task, viewTask } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { readPreferences } from '../../http/prefer.ts';
import { acceptedResponse, pollAfterSeconds } from '../task-accepted.ts';

/** Weak: it changes with everything a poller looks for, not with every byte. */
function etagOf(task: Task): string {
  const cancel = task.isCancelRequested ? '-c' : '';
  return `W/"${task.state}-${task.fence}-${task.timeline.length}${cancel}"`;
}

/** RFC 9110, section 13.1.2: weak comparison, `*` matches anything. */
function isMatch(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const opaque = etag.replace(/^W\//, '');
  return header.split(',').some((item) => item.trim() === '*' || item.trim().replace(/^W\//, '') === opaque);
}

/** The id in the path, which is also noted for the log. Throws TaskNotFound for what is none. */
export function readTaskId(c: AppContext): string {
  const id = c.req.param('id') ?? '';
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new BrokerError('TaskNotFound', 'Task not found.');
  c.set('taskId', id);
  return id;
}

export function getTask(gate: AppDeps['gate']): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const id = readTaskId(c);
    const { waitSeconds } = readPreferences(c.req.header('prefer'));
    const principal = c.get('principal');
    const isWaiting = waitSeconds !== null && waitSeconds > 0;
    const task = isWaiting
      ? await gate.wait(id, principal, waitSeconds * 1000, c.req.raw.signal)
      : await gate.get(id, principal);
    const etag = etagOf(task);
    const headers: Record<string, string> = {
      etag,
      vary: 'Prefer',
      'cache-control': 'private, no-cache',
      ...(isWaiting ? { 'preference-applied': `wait=${waitSeconds}` } : {}),
      ...(isTerminal(task.state) ? {} : { 'retry-after': String(pollAfterSeconds) }),
    };
    if (isMatch(c.req.header('if-none-match'), etag)) return jsonResponse(c, 304, null, headers);
    return jsonResponse(c, 200, viewTask(task), headers);
  };
}

/** 200 when the task has ended (now or before), 202 while the worker is being stopped. */
export function cancelTask(deps: Pick<AppDeps, 'config' | 'gate'>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const task = await deps.gate.cancel(readTaskId(c), c.get('principal'));
    return isTerminal(task.state) ? jsonResponse(c, 200, viewTask(task)) : acceptedResponse(c, deps.config, task);
  };
}
