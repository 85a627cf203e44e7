/**
 * One FirecREST v2 route: the request becomes a task, and the answer waits for its end. With `Prefer: respond-async` the
 * answer is the task.
 */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { type Operation, relayedHeaderPrefix } from '../../../shared/operations/operation.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';

import type { AppContext, AppDeps, SystemEntry } from '../../http/app-env.ts';
import { invalidRequest, problemsOf } from '../../http/invalid-request.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { type Preferences, preferenceApplied, readPreferences } from '../../http/prefer.ts';

import { relayAnswer } from '../../http/relay.ts';
import type { AcceptRequest } from '../../tasks/task-gate.ts';
import {
  acceptRequestOf,
  admitInput,
  admitPeer,
  callerOf,
  checkAlso,
  findSystem,
  narrowToVisible,
  replayHeaders,
  type SystemsByName,
} from '../accept-task.ts';
import { namedWebhook, sealWebhook, webhookOfHeaders } from '../named-webhook.ts';
import { acceptedResponse } from '../task-accepted.ts';
import { answerEnd, answerHoldTimeout, isHoldOver, returnApplied, throwFailure } from './answer-outcome.ts';
import { createInputReader, type InputReader } from './read-input.ts';
import { readOwn } from './serve-transfer-job.ts';
import { isPreparedFor, startedAnswer } from './transfer-job.ts';

export type FaceDeps = Pick<
  AppDeps,
  | 'config'
  | 'gate'
  | 'checkAccess'
  | 'findVisible'
  | 'requireHealthy'
  | 'webhooks'
  | 'workers'
  | 'jobNumbers'
  | 'stagings'
> & {
  systems: SystemsByName;
  now: () => number;
};

/** The body of an answer that was too large for the record: it waits at the worker, as JSON, and goes on as it is. */
async function relayBody(
  c: AppContext,
  { workers }: FaceDeps,
  operation: Operation,
  url: string,
  headers: Record<string, string>,
): Promise<Response> {
  const answer = await workers.get(url).catch((cause: unknown) => {
    throw new BrokerError('WorkerLost', 'The result was lost on its way; it was too large to be kept.', { cause });
  });
  if (answer.statusCode !== 200) {
    answer.drop();
    throw new BrokerError('WorkerLost', 'The result was lost on its way; it was too large to be kept.');
  }
  const length = answer.headers['content-length'];
  const ofResult = Object.entries(answer.headers).flatMap(([name, value]) =>
    name.startsWith(relayedHeaderPrefix) ? [[name.slice(relayedHeaderPrefix.length), value]] : [],
  );
  return await relayAnswer(c, answer, operation.firecrest.status, {
    'content-type': 'application/json',
    ...(length === undefined ? {} : { 'content-length': length }),
    ...headers,
    ...Object.fromEntries(ofResult),
  });
}

async function serveHeld(
  c: AppContext,
  deps: FaceDeps,
  operation: Operation,
  request: AcceptRequest,
  preferences: Preferences,
): Promise<Response> {
  const outcome = await deps.gate.acceptAndWait(request, c.req.raw.signal);
  c.set('taskId', outcome.id);
  c.set('replyHeaders', replayHeaders(request, outcome.isReplay));
  const { waitSeconds } = preferences;
  if (isHoldOver(operation, outcome)) return answerHoldTimeout(c, deps.config, operation, outcome.id, waitSeconds);
  const wish = returnApplied(operation, preferences);
  const headers = {
    ...c.get('replyHeaders'),
    vary: 'Prefer',
    ...preferenceApplied({ waitSeconds, return: wish }),
  };
  if (outcome.bodyUrl !== undefined) return await relayBody(c, deps, operation, outcome.bodyUrl, headers);
  return answerEnd(c, operation, outcome, headers, wish);
}

/** An operation that clients know as a job is answered when that job can be told of; how it ends, they ask later. */
async function serveJob(
  c: AppContext,
  deps: FaceDeps,
  operation: Operation,
  request: AcceptRequest,
  system: SystemEntry,
  preferences: Preferences,
): Promise<Response> {
  const isPrepared = operation.firecrest.job?.answersWhen === 'prepared';
  const outcome = isPrepared
    ? await deps.gate.acceptAndWait({ ...request, heldFor: 'prepared' }, c.req.raw.signal)
    : await deps.gate.accept(request);
  c.set('taskId', outcome.id);
  c.set('replyHeaders', replayHeaders(request, outcome.isReplay));
  // Only one that is prepared is waited for, and its answer has nothing that could be left out.
  const waitSeconds = isPrepared ? preferences.waitSeconds : null;
  const wish = preferences.return === 'representation' ? preferences.return : null;
  const headers = { ...c.get('replyHeaders'), vary: 'Prefer', ...preferenceApplied({ waitSeconds, return: wish }) };
  const task = await deps.gate.get(outcome.id, request.principal);
  if (isPrepared && !isPreparedFor(task)) {
    if (!isTerminal(task.state)) return answerHoldTimeout(c, deps.config, operation, task.id, waitSeconds);
    const { id, state, error } = task;
    throwFailure({ id, isReplay: false, state, ...(error === null ? {} : { error }) });
  }
  const body = await startedAnswer(task, system, deps.stagings.get(system.name));
  return jsonResponse(c, operation.firecrest.status, body, headers);
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
  // A large result waits at the worker, for GET /tasks/{id}/result.
  if (waitMs > 0 && isTerminal(task.state) && task.largeResult === null) {
    const error = task.error === null ? {} : { error: task.error };
    const wish = returnApplied(operation, preferences);
    const applied = preferenceApplied({ waitSeconds: preferences.waitSeconds, return: wish });
    const outcome = { id, isReplay, state: task.state, resultJson: JSON.stringify(task.result), ...error };
    return answerEnd(c, operation, outcome, { ...headers, ...applied }, wish);
  }
  return acceptedResponse(c, deps.config, task, preferences, headers);
}

/** The input, and the address that the body may name beside it, sealed; an operation that takes one is told of it by a field. */
function admitWithWebhook(
  c: AppContext,
  { webhooks }: FaceDeps,
  operation: Operation,
  sent: Record<string, unknown>,
  system: SystemEntry | null,
  { locate }: InputReader,
): { input: Record<string, unknown>; webhook: { webhook?: string } } {
  const input = admitInput(operation, sent, system, locate);
  if (operation.takesWebhook === undefined || sent.webhook === undefined) return { input, webhook: {} };
  const parsed = z.object({ webhook: namedWebhook }).safeParse(sent);
  if (!parsed.success) throw invalidRequest(problemsOf(parsed.error.issues, sent, locate));
  const webhook = sealWebhook(webhooks, c.get('principal'), parsed.data.webhook);
  return { input: { ...input, [operation.takesWebhook.sets]: true }, webhook: { webhook } };
}

/** The handler of one operation's route. */
export function serveOperation(deps: FaceDeps, operation: Operation): (c: AppContext) => Promise<Response> {
  const { config } = deps;
  const reader = createInputReader(operation, config.api.bodyBytesMax);
  return async (c) => {
    const system = operation.scope === 'system' ? findSystem(deps.systems, c.req.param('system_name') ?? '') : null;
    await deps.checkAccess(c.get('principal'), operation.relation, system?.name ?? null, c.get('address'));
    const { input: admitted, webhook } = admitWithWebhook(c, deps, operation, await reader.read(c), system, reader);
    const own = await readOwn(c, deps, operation, admitted, system);
    if (own !== undefined) return jsonResponse(c, operation.firecrest.status, operation.firecrest.answer(own));
    const onPeer = await admitPeer(callerOf(c), deps, operation, admitted);
    const input = await narrowToVisible(callerOf(c), deps, operation, onPeer);
    await checkAlso(deps, callerOf(c), operation, input, system);
    deps.requireHealthy(operation, system, input);
    const preferences = readPreferences(c.req.header('prefer'));
    const holdMs =
      preferences.waitSeconds === null
        ? config.api.holdMs
        : Math.max(1, Math.min(config.api.holdMs, preferences.waitSeconds * 1000));
    const isHeld = !preferences.isAsync;
    const named = { ...webhookOfHeaders(c, deps.webhooks), ...webhook };
    const request = acceptRequestOf(c, { operation, system: system?.name ?? null, input, isHeld, holdMs, ...named });
    if (isHeld && system !== null && operation.firecrest.job) {
      return serveJob(c, deps, operation, request, system, preferences);
    }
    return isHeld
      ? serveHeld(c, deps, operation, request, preferences)
      : serveAsync(c, deps, operation, request, preferences);
  };
}
