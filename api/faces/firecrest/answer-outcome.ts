/** What a held request is answered with, by how its task ended. */
import { BrokerError, fromStoredError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import type { AppConfig, AppContext } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { type Preferences, preferenceApplied } from '../../http/prefer.ts';
import { problemResponse } from '../../http/problem.ts';
import type { TaskGate } from '../../tasks/task-gate.ts';
import { taskLocation } from '../task-accepted.ts';

export type Outcome = Awaited<ReturnType<TaskGate['acceptAndWait']>>;

/** Throws what a task that has ended was canceled or failed with. */
export function throwFailure(outcome: Outcome): void {
  if (outcome.state === 'canceled')
    throw outcome.error ? fromStoredError(outcome.error) : new BrokerError('TaskCanceled');
  if (outcome.state === 'failed') {
    throw outcome.error === undefined ? new BrokerError('OutcomeUnknown') : fromStoredError(outcome.error);
  }
}

/** What was changed, without how it looks now: what names a new thing stays. */
function minimalOf(answer: unknown): unknown {
  const isEntry = typeof answer === 'object' && answer !== null && 'output' in answer;
  return isEntry ? { ...answer, output: null } : answer;
}

/**
 * Whether a held answer heeds `Prefer: return` (RFC 7240, section 4.2): it shows what there is, but of a change no more than is
 * wished. Of a read there is nothing to leave out.
 */
export function returnApplied({ mutates }: Operation, { return: wish }: Preferences): Preferences['return'] {
  return wish === 'minimal' && !mutates ? null : wish;
}

/** The answer to a task that has ended, made from its result. Throws what the task failed with. */
export function answerEnd(
  c: AppContext,
  operation: Operation,
  outcome: Outcome,
  headers: Record<string, string>,
  wish: Preferences['return'] = null,
): Response {
  throwFailure(outcome);
  const result: unknown = JSON.parse(outcome.resultJson ?? 'null');
  const own = operation.firecrest.resultHeaders?.(result);
  const answer = operation.firecrest.answer(result);
  const body = wish === 'minimal' ? minimalOf(answer) : answer;
  return jsonResponse(c, operation.firecrest.status, body, { ...headers, ...own });
}

/** Whether the task outlasted its request: a read whose hold ran out may already stand as canceled, or as past its deadline. */
export function isHoldOver(operation: Operation, outcome: Outcome): boolean {
  const isEndedByHold = outcome.state === 'canceled' || outcome.error?.code === 'DeadlineExceeded';
  return !isTerminal(outcome.state) || (isEndedByHold && !operation.mutates);
}

/** Nobody waited long enough: a mutation goes on and can be looked up, a read was canceled. `waitSeconds`: as was preferred. */
export function answerHoldTimeout(
  c: AppContext,
  config: AppConfig,
  operation: Operation,
  id: string,
  waitSeconds: number | null = null,
): Response {
  const message = operation.mutates
    ? `The operation did not end in time; it goes on as task ${id}.`
    : 'The operation did not end in time and was canceled.';
  const headers = operation.mutates ? { location: taskLocation(config, id) } : {};
  const applied = { vary: 'Prefer', ...preferenceApplied({ waitSeconds }) };
  return problemResponse(c, new BrokerError('HoldTimeout', message), { ...headers, ...applied });
}
