/** GET and DELETE /tasks/{id}, and its result: the task as it stands, cheap to poll (ETag) or held until it ends (`Prefer: wait=N`). */
import { BrokerError, fromStoredError } from '../../../shared/errors/broker-error.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import type { LargeResult, Principal, Task } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { preferenceApplied, readPreferences } from '../../http/prefer.ts';
import { relayAnswer } from '../../http/relay.ts';
import { acceptedResponse, pollAfterSeconds, viewTaskAs } from '../task-accepted.ts';
import { actOnTask, type OthersDeps } from './others-task.ts';

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

/** The task, waited for where `Prefer: wait=N` asks for it. */
async function readOrWait(
  c: AppContext,
  gate: AppDeps['gate'],
  { id, owner }: { id: string; owner: Principal },
  waitSeconds: number | null,
): Promise<Task> {
  return waitSeconds !== null && waitSeconds > 0
    ? await gate.wait(id, owner, waitSeconds * 1000, c.req.raw.signal)
    : await gate.get(id, owner);
}

export function getTask(deps: OthersDeps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const id = readTaskId(c);
    const preferences = readPreferences(c.req.header('prefer'));
    const { waitSeconds } = preferences;
    const read = (owner: Principal): Promise<Task> => readOrWait(c, deps.gate, { id, owner }, waitSeconds);
    const task = await actOnTask(c, deps, { id, relation: 'view' }, read);
    const etag = etagOf(task);
    const headers: Record<string, string> = {
      etag,
      vary: 'Prefer',
      'cache-control': 'private, no-cache',
      ...preferenceApplied({ waitSeconds, return: preferences.return }),
      ...(isTerminal(task.state) ? {} : { 'retry-after': String(pollAfterSeconds) }),
    };
    if (isMatch(c.req.header('if-none-match'), etag)) return jsonResponse(c, 304, null, headers);
    return jsonResponse(c, 200, viewTaskAs(task, preferences.return), headers);
  };
}

/**
 * GET /tasks/{id}/result: the result alone. What a task failed with is thrown; TaskConflict while it has not ended;
 * TaskExpired where the result was too large to be kept and went with the request that was held for it, or with its worker.
 */
export function getResult({ gate, workers }: Pick<AppDeps, 'gate' | 'workers'>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const id = readTaskId(c);
    const { waitSeconds } = readPreferences(c.req.header('prefer'));
    const task = await readOrWait(c, gate, { id, owner: c.get('principal') }, waitSeconds);
    if (!isTerminal(task.state)) {
      throw new BrokerError('TaskConflict', `The task has no result yet: it is ${task.state}.`, {
        retryAfterSeconds: pollAfterSeconds,
      });
    }
    if (task.error !== null) throw fromStoredError(task.error);
    const headers = { vary: 'Prefer', ...preferenceApplied({ waitSeconds }) };
    if (task.largeResult !== null) return await relayLarge(c, workers, task.largeResult, headers);
    if (task.result === null) throw new BrokerError('TaskExpired', 'The result was sent and is no longer kept.');
    return jsonResponse(c, 200, task.result, headers);
  };
}

/** Streams what waits at the worker that made it. */
async function relayLarge(
  c: AppContext,
  workers: AppDeps['workers'],
  { url, sizeBytes, until }: LargeResult,
  headers: Record<string, string>,
): Promise<Response> {
  const answer = await workers.get(url).catch(() => null);
  if (answer?.statusCode !== 200) {
    answer?.drop();
    const end = new Date(until).toISOString();
    const message = `The result of ${sizeBytes} bytes is gone: it was kept until ${end}, or until its worker stopped.`;
    throw new BrokerError('TaskExpired', message);
  }
  const content = { 'content-type': 'application/json', 'content-length': String(sizeBytes) };
  return await relayAnswer(c, answer, 200, { ...content, ...headers });
}

/** 200 when the task has ended (now or before), 202 while the worker is being stopped; `Prefer: wait=N` awaits its end. */
export function cancelTask(deps: OthersDeps & Pick<AppDeps, 'config'>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const id = readTaskId(c);
    const preferences = readPreferences(c.req.header('prefer'));
    const { waitSeconds } = preferences;
    const cancel = async (owner: Principal): Promise<Task> => {
      const asked = await deps.gate.cancel(id, owner);
      return isTerminal(asked.state) ? asked : await readOrWait(c, deps.gate, { id, owner }, waitSeconds ?? 0);
    };
    const task = await actOnTask(c, deps, { id, relation: 'cancel' }, cancel);
    const applied = { ...preferences, isAsync: false };
    if (!isTerminal(task.state)) return acceptedResponse(c, deps.config, task, applied);
    return jsonResponse(c, 200, viewTaskAs(task, preferences.return), {
      vary: 'Prefer',
      ...preferenceApplied(applied),
    });
  };
}
