/**
 * One FirecREST v2 route: the request becomes a task, and the answer waits for its end. With `Prefer: respond-async` the
 * answer is the task.
 */
import { BrokerError, fromStoredError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { type Preferences, readPreferences } from '../../http/prefer.ts';
import { problemResponse } from '../../http/problem.ts';
import type { AcceptRequest, TaskGate } from '../../tasks/task-gate.ts';
import { acceptRequestOf, admitInput, findSystem, replayHeaders, type SystemsByName } from '../accept-task.ts';
import { acceptedResponse, taskLocation } from '../task-accepted.ts';
import { createInputReader } from './read-input.ts';

type FaceDeps = Pick<AppDeps, 'config' | 'gate' | 'checkAccess' | 'requireHealthy'> & { systems: SystemsByName };
type Outcome = Awaited<ReturnType<TaskGate['acceptAndWait']>>;

/** The answer to a task that has ended. Throws what the task failed with. */
function answerEnd(c: AppContext, operation: Operation, outcome: Outcome, headers: Record<string, string>): Response {
  if (outcome.state === 'canceled') throw new BrokerError('TaskCanceled', 'The task was canceled.');
  if (outcome.state === 'failed') {
    throw outcome.error === undefined ? new BrokerError('OutcomeUnknown') : fromStoredError(outcome.error);
  }
  const result: unknown = JSON.parse(outcome.resultJson ?? 'null');
  return jsonResponse(c, operation.firecrest.status, operation.firecrest.answer(result), headers);
}

/** Nobody waited long enough: a mutation goes on and can be looked up, a read was canceled. */
function answerHoldTimeout(c: AppContext, deps: FaceDeps, operation: Operation, id: string): Response {
  const message = operation.mutates
    ? `The operation did not end in time; it goes on as task ${id}.`
    : 'The operation did not end in time and was canceled.';
  const headers = operation.mutates ? { location: taskLocation(deps.config, id) } : {};
  return problemResponse(c, new BrokerError('HoldTimeout', message), { ...headers, vary: 'Prefer' });
}

async function serveHeld(
  c: AppContext,
  deps: FaceDeps,
  operation: Operation,
  request: AcceptRequest,
): Promise<Response> {
  const outcome = await deps.gate.acceptAndWait(request, c.req.raw.signal);
  c.set('taskId', outcome.id);
  c.set('replyHeaders', replayHeaders(request, outcome.isReplay));
  // A read whose hold ran out may already stand as canceled, or as past its deadline, which is the end of the hold.
  const isEndedByHold = outcome.state === 'canceled' || outcome.error?.code === 'DeadlineExceeded';
  const isHoldOver = !isTerminal(outcome.state) || (isEndedByHold && !operation.mutates);
  if (isHoldOver) return answerHoldTimeout(c, deps, operation, outcome.id);
  return answerEnd(c, operation, outcome, { ...c.get('replyHeaders'), vary: 'Prefer' });
}

/** RFC 7240, section 4.1: with `wait` too, the answer is direct when the task ends in that time. */
async function serveAsync(
  c: AppContext,
  deps: FaceDeps,
  operation: Operation,
  request: AcceptRequest,
  preferences: Preferences,
): Promise<Response> {
  const { id, isReplay } = await deps.gate.accept(request);
  c.set('taskId', id);
  c.set('replyHeaders', replayHeaders(request, isReplay));
  const headers = { ...c.get('replyHeaders'), vary: 'Prefer' };
  const waitMs = (preferences.waitSeconds ?? 0) * 1000;
  const task =
    waitMs > 0
      ? await deps.gate.wait(id, request.principal, waitMs, c.req.raw.signal)
      : await deps.gate.get(id, request.principal);
  if (waitMs > 0 && isTerminal(task.state)) {
    const error = task.error === null ? {} : { error: task.error };
    const outcome = { id, isReplay, state: task.state, resultJson: JSON.stringify(task.result), ...error };
    return answerEnd(c, operation, outcome, { ...headers, 'preference-applied': `wait=${preferences.waitSeconds}` });
  }
  return acceptedResponse(c, deps.config, task, { ...headers, 'preference-applied': 'respond-async' });
}

/** The handler of one operation's route. */
export function serveOperation(deps: FaceDeps, operation: Operation): (c: AppContext) => Promise<Response> {
  const { config } = deps;
  const reader = createInputReader(operation, config.api.bodyBytesMax);
  return async (c) => {
    const system = operation.scope === 'system' ? findSystem(deps.systems, c.req.param('system_name') ?? '') : null;
    await deps.checkAccess(c.get('principal'), operation.relation, system?.name ?? null);
    const input = admitInput(operation, await reader.read(c), system, reader.locate);
    deps.requireHealthy(operation, system, input);
    const preferences = readPreferences(c.req.header('prefer'));
    const holdMs =
      preferences.waitSeconds === null
        ? config.api.holdMs
        : Math.max(1, Math.min(config.api.holdMs, preferences.waitSeconds * 1000));
    const isHeld = !preferences.isAsync;
    const request = acceptRequestOf(c, { operation, system: system?.name ?? null, input, isHeld, holdMs });
    return isHeld ? serveHeld(c, deps, operation, request) : serveAsync(c, deps, operation, request, preferences);
  };
}
