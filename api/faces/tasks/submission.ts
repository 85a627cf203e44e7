/** A submission of the native face: any operation of the registry. Strict: a field that is not known is an error, not a surprise. */
import { z } from 'zod';
import { targetOf } from '../../../shared/audit/target.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { findOperation, operationNames } from '../../../shared/operations/registry.ts';
import { consentKindOf, lifeInWords } from '../../../shared/tasks/consent.ts';
import { priorityMax } from '../../../shared/tasks/task.ts';
import type { AppDeps, SystemEntry, Wish } from '../../http/app-env.ts';
import { invalidField, invalidRequest, pointerStep, problemsOf } from '../../http/invalid-request.ts';
import { fieldNamesOf, unknownNames } from '../../http/spellings.ts';
import {
  admitInput,
  admitPeer,
  type Caller,
  checkAlso,
  findSystem,
  narrowToVisible,
  type SystemsByName,
  type TaskWish,
} from '../accept-task.ts';
import { namedWebhook, sealWebhook } from '../named-webhook.ts';
import { admitSteps, type FoundStep, refuseTwins, stepSubmission, underInput } from './chain-submission.ts';

const tagsMax = 16;
/** Steps of a refused chain that its audit record tells of. */
const stepsToldMax = 100;

/** One tag. Its characters need no escaping in a query and never hold the comma that separates them in the record. */
export const tag = z
  .string('must be a text')
  .regex(/^[A-Za-z0-9_.:/=@+-]{1,64}$/, 'must be 1 to 64 letters, digits or characters of _ . : / = @ + -');

/** The body of POST /tasks. */
export const taskSubmission = z.object({
  operation: z
    .string('must be the name of an operation')
    .max(100)
    .optional()
    .describe('Required, unless there are `steps`'),
  system: z.string('must be the name of a system').max(255).nullable().optional(),
  input: z.record(z.string(), z.unknown(), 'must be an object').default({}),
  steps: z
    .array(stepSubmission, 'must be a list of steps')
    .min(1, 'must hold at least one step')
    .optional()
    .describe('In place of `operation` and `input`: operations one after another, a chain'),
  deadline: z.iso
    .datetime({ offset: true, error: 'must be an RFC 3339 time with zone, e.g. 2026-01-31T12:00:00Z' })
    .optional()
    .describe('The task ends as failed when it has not ended by then: nothing is begun for you any more'),
  notBefore: z.iso
    .datetime({ offset: true, error: 'must be an RFC 3339 time with zone, e.g. 2026-01-31T12:00:00Z' })
    .optional()
    .describe('The task does not begin before that time'),
  priority: z
    .int(`must be a whole number from -${priorityMax} to ${priorityMax}`)
    .min(-priorityMax, `must be at least -${priorityMax}`)
    .max(priorityMax, `must be at most ${priorityMax}`)
    .optional()
    .describe('Among your own waiting tasks of the queue: the higher goes first'),
  tags: z
    .array(tag, 'must be a list of texts')
    .max(tagsMax, `must hold at most ${tagsMax} tags`)
    .optional()
    .describe('Words to find tasks by'),
  webhook: namedWebhook.optional().describe('To be told of the end of this task, and of the job that it watches'),
});

type Json = Record<string, unknown>;
type Submission = z.infer<typeof taskSubmission>;
/** What a submission is admitted with. */
export type AdmitDeps = Pick<AppDeps, 'checkAccess' | 'config' | 'findVisible' | 'requireHealthy' | 'webhooks'> & {
  systems: SystemsByName;
  now: () => number;
};

/** What a submission seems to be about, however wrong it is, for the audit record of its refusal. */
export function wishIn(body: unknown): Wish {
  const { operation, system, input, steps } = objectOf(body);
  const known = typeof operation === 'string' ? findOperation(operation) : undefined;
  const isInput = typeof input === 'object' && input !== null;
  return {
    action: known?.name ?? 'POST /tasks',
    system: typeof system === 'string' ? system : null,
    target: known !== undefined && isInput ? targetOf(known, input as Json) : stepsIn(steps),
  };
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

/** The operations of steps, those that are known. */
function stepsIn(steps: unknown): Record<string, string> {
  if (!Array.isArray(steps)) return {};
  const names = steps.slice(0, stepsToldMax).map((step) => findOperation(String(objectOf(step).operation))?.name);
  return Object.fromEntries(names.flatMap((name, n) => (name === undefined ? [] : [[`/steps/${n}`, name]])));
}

const submissionNames = fieldNamesOf(taskSubmission);

function refuseUnknown(paths: readonly string[][], prefix: string): void {
  if (paths.length === 0) return;
  throw invalidRequest(
    paths.map((path) => {
      const pointer = `${prefix}${path.map((key) => `/${pointerStep(key)}`).join('')}`;
      return { location: 'body', name: pointer.split('/')[1] ?? '', pointer, message: 'is not known' };
    }),
  );
}

function parseSubmission(body: Record<string, unknown>): Submission {
  refuseUnknown(unknownNames(submissionNames, body), '');
  const parsed = taskSubmission.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest(problemsOf(parsed.error.issues, body, (name) => ({ location: 'body', name })));
}

function operationOf(name: string, at: string): Operation {
  const operation = findOperation(name);
  if (operation !== undefined) return operation;
  throw invalidField('body', `${at}/operation`, `is not an operation; known are ${operationNames.join(', ')}`);
}

function systemOf(systems: SystemsByName, operation: Operation, name: string | null, at: string): SystemEntry | null {
  if (operation.scope === 'none') {
    if (name === null) return null;
    throw invalidField('body', `${at}/system`, `must be left out: ${operation.name} runs on no system`);
  }
  if (name === null) throw invalidField('body', `${at}/system`, 'is required');
  return findSystem(systems, name);
}

function timeOf(text: string, pointer: string, now: number, aheadMsMax: number): number {
  const at = Date.parse(text);
  if (!(at > now)) throw invalidField('body', pointer, 'must be in the future');
  if (at > now + aheadMsMax) throw invalidField('body', pointer, `must be within ${lifeInWords(aheadMsMax)}`);
  return at;
}

/** `lifeMs`: no consent to such a task lasts longer, and so no task. */
function timesOf(
  { deadline, notBefore }: Submission,
  now: number,
  lifeMs: number,
): Pick<TaskWish, 'deadlineAt' | 'startAt'> {
  const deadlineAt = deadline === undefined ? undefined : timeOf(deadline, '/deadline', now, lifeMs);
  // A start in the past is no wish at all: the request was long on its way.
  const isAhead = notBefore !== undefined && !(Date.parse(notBefore) <= now);
  const startAt = isAhead ? timeOf(notBefore, '/notBefore', now, lifeMs) : undefined;
  if (deadlineAt !== undefined && startAt !== undefined && deadlineAt <= startAt) {
    throw invalidField('body', '/deadline', 'must be later than `notBefore`');
  }
  return { ...(deadlineAt === undefined ? {} : { deadlineAt }), ...(startAt === undefined ? {} : { startAt }) };
}

/** Nobody would be there to send the bytes to, or to take them from. */
function refuseBytes({ name, bytes, firecrest: { method, path } }: Operation, at: string): void {
  if (bytes === undefined) return;
  throw invalidField('body', `${at}/operation`, `${name} moves the bytes of a file: use ${method} ${path}`);
}

/** What a submission asks to be done: one operation, or the first of several and all of them. */
type Work = Pick<TaskWish, 'operation' | 'system' | 'input' | 'chain'>;

/** One operation's input, looked at whole. `at` is where it stands in the body. */
async function admitOne(deps: AdmitDeps, caller: Caller, step: Omit<FoundStep, 'submission'>, given: Json, at: string) {
  const { operation, system } = step;
  refuseUnknown(unknownNames(fieldNamesOf(operation.input), given), `${at}/input`);
  const input = underInput(at, () => admitInput(operation, given, system, (name) => ({ location: 'body', name })));
  await checkAlso(deps, caller, operation, input, system);
  return narrowToVisible(caller, deps, operation, await admitPeer(caller, deps, operation, input));
}

async function admitOperation(
  deps: AdmitDeps,
  caller: Caller,
  { operation: name, system: on, input }: Submission,
): Promise<Work> {
  if (name === undefined) throw invalidField('body', '/operation', 'is required');
  const operation = operationOf(name, '');
  const system = systemOf(deps.systems, operation, on ?? null, '');
  await deps.checkAccess(caller.principal, operation.relation, system?.name ?? null, caller.address);
  const admitted = await admitOne(deps, caller, { operation, system }, input, '');
  refuseBytes(operation, '');
  deps.requireHealthy(operation, system, admitted);
  return { operation, system: system?.name ?? null, input: admitted };
}

/** Each step is looked at as a task of its own would be; that the services are well, of the first only: it runs now. */
async function admitChain(deps: AdmitDeps, caller: Caller, body: Json, submission: Submission): Promise<Work> {
  const { steps = [], system: on = null } = submission;
  for (const name of ['operation', 'input']) {
    if (Object.hasOwn(body, name)) throw invalidField('body', `/${name}`, 'must be left out where there are `steps`');
  }
  const { chainStepsMax } = deps.config.tasks;
  if (steps.length > chainStepsMax) {
    throw invalidField('body', '/steps', `must hold at most ${chainStepsMax} steps, not ${steps.length}`);
  }
  refuseTwins(steps);
  const found: FoundStep[] = [];
  for (const [n, step] of steps.entries()) {
    const at = `/steps/${n}`;
    refuseUnknown(
      Object.keys((body.steps as Json[])[n] ?? {})
        .filter(isNoStepField)
        .map((name) => [name]),
      at,
    );
    const operation = operationOf(step.operation, at);
    const name = step.system ?? (operation.scope === 'none' ? null : on);
    const system = systemOf(deps.systems, operation, name, at);
    await deps.checkAccess(caller.principal, operation.relation, system?.name ?? null, caller.address);
    refuseBytes(operation, at);
    // What a reference will make of the other system's name nobody has been asked about.
    if (operation.peer !== undefined) throw invalidField('body', `${at}/operation`, 'acts on two systems: no step can');
    found.push({ submission: step, operation, system });
  }
  const chain = await admitSteps(found, (step, at) => admitOne(deps, caller, step, step.submission.input, at));
  const [first] = found;
  const [{ input } = { input: {} }] = chain.steps;
  if (first === undefined) throw invalidField('body', '/steps', 'must hold at least one step');
  deps.requireHealthy(first.operation, first.system, input as Json);
  return { operation: first.operation, system: first.system?.name ?? null, input: input as Json, chain };
}

const isNoStepField = (name: string): boolean => !Object.hasOwn(stepSubmission.shape, name);

/**
 * One submission as what is asked of the gate. Throws InvalidRequest, SystemNotFound, Forbidden, ServiceUnhealthy; the
 * pointers of the problems begin at the submission.
 */
export async function admitSubmission(deps: AdmitDeps, caller: Caller, body: Json): Promise<TaskWish> {
  const submission = parseSubmission(body);
  const work =
    submission.steps === undefined
      ? await admitOperation(deps, caller, submission)
      : await admitChain(deps, caller, body, submission);
  const { tags, priority, webhook } = submission;
  const lifeMs = deps.config.consent[consentKindOf(work.operation, work.chain !== undefined)];
  return {
    ...{ ...work, isHeld: false, holdMs: 0, isKeyed: true },
    ...timesOf(submission, deps.now(), lifeMs),
    ...(webhook === undefined ? {} : { webhook: sealWebhook(deps.webhooks, caller.principal, webhook) }),
    ...(tags === undefined ? {} : { tags: [...new Set(tags)] }),
    ...(priority === undefined ? {} : { priority }),
  };
}
