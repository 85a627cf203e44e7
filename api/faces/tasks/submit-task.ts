/** POST /tasks: any operation of the registry as a task. Strict: a field that is not known is an error, not a surprise. */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { findOperation, operationNames } from '../../../shared/operations/registry.ts';
import type { AppContext, AppDeps, SystemEntry } from '../../http/app-env.ts';
import { invalidField, invalidRequest, pointerStep, problemsOf } from '../../http/invalid-request.ts';
import { readJsonBody } from '../../http/json-body.ts';
import { fieldNamesOf, unknownNames } from '../../http/spellings.ts';
import { acceptRequestOf, admitInput, findSystem, replayHeaders, type SystemsByName } from '../accept-task.ts';
import { acceptedResponse } from '../task-accepted.ts';

/** The body of POST /tasks. */
export const taskSubmission = z.object({
  operation: z.string('must be the name of an operation').max(100),
  system: z.string('must be the name of a system').max(255).nullable().optional(),
  input: z.record(z.string(), z.unknown(), 'must be an object').default({}),
  deadline: z.iso
    .datetime({ offset: true, error: 'must be an RFC 3339 time with zone, e.g. 2026-01-31T12:00:00Z' })
    .optional()
    .describe('The task ends as failed when it has not ended by then'),
});

type Submission = z.infer<typeof taskSubmission>;
type SubmitDeps = Pick<AppDeps, 'config' | 'gate' | 'checkAccess' | 'requireHealthy'> & {
  systems: SystemsByName;
  now: () => number;
};

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

function operationOf(name: string): Operation {
  const operation = findOperation(name);
  if (operation !== undefined) return operation;
  throw invalidField('body', '/operation', `is not an operation; known are ${operationNames.join(', ')}`);
}

function systemOf(systems: SystemsByName, operation: Operation, name: string | null): SystemEntry | null {
  if (operation.scope === 'none') {
    if (name === null) return null;
    throw invalidField('body', '/system', `must be left out: ${operation.name} runs on no system`);
  }
  if (name === null) throw invalidField('body', '/system', 'is required');
  return findSystem(systems, name);
}

/** A task is not looked after for ever. */
const deadlineMsMax = 30 * 24 * 3_600_000;

function deadlineOf(submission: Submission, now: number): { deadlineAt?: number } {
  if (submission.deadline === undefined) return {};
  const deadlineAt = Date.parse(submission.deadline);
  if (!(deadlineAt > now)) throw invalidField('body', '/deadline', 'must be in the future');
  if (deadlineAt > now + deadlineMsMax) throw invalidField('body', '/deadline', 'must be within 30 days');
  return { deadlineAt };
}

/** Nobody would be there to send the bytes to, or to take them from. */
function refuseBytes({ name, bytes, firecrest: { method, path } }: Operation): void {
  if (bytes === undefined) return;
  throw invalidField('body', '/operation', `${name} moves the bytes of a file: use ${method} ${path}`);
}

/** Puts the pointers of the input's problems under `/input`, where the caller sent it. */
function admitTaskInput(operation: Operation, input: Record<string, unknown>, system: SystemEntry | null) {
  try {
    return admitInput(operation, input, system, (name) => ({ location: 'body', name }));
  } catch (thrown) {
    if (!(thrown instanceof BrokerError) || thrown.fields.length === 0) throw thrown;
    throw invalidRequest(
      thrown.fields.map((field) => ({ ...field, name: 'input', pointer: `/input${field.pointer}` })),
    );
  }
}

/** 202 with the task. InvalidRequest, SystemNotFound, Forbidden and what the gate throws. */
export function submitTask(deps: SubmitDeps): (c: AppContext) => Promise<Response> {
  const { config } = deps;
  return async (c) => {
    const bytesMax = config.api.bodyBytesMax;
    const submission = parseSubmission(await readJsonBody(c, { bytesMax, wrongTypeCode: 'UnsupportedMediaType' }));
    const operation = operationOf(submission.operation);
    const system = systemOf(deps.systems, operation, submission.system ?? null);
    await deps.checkAccess(c.get('principal'), operation.relation, system?.name ?? null);
    refuseUnknown(unknownNames(fieldNamesOf(operation.input), submission.input), '/input');
    const input = admitTaskInput(operation, submission.input, system);
    refuseBytes(operation);
    deps.requireHealthy(operation, system, input);
    const request = acceptRequestOf(c, {
      operation,
      system: system?.name ?? null,
      input,
      isHeld: false,
      holdMs: 0,
      ...deadlineOf(submission, deps.now()),
    });
    const { id, isReplay } = await deps.gate.accept(request);
    c.set('taskId', id);
    const task = await deps.gate.get(id, request.principal);
    return acceptedResponse(c, config, task, replayHeaders(request, isReplay));
  };
}
