/** The steps of a chain, looked at whole before any of them runs: operations, grants, inputs, and what they take of each other. */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { admitPaths } from '../../../shared/operations/paths.ts';
import {
  findReferences,
  isReference,
  type PlacedReference,
  parseReference,
  referenceKey,
} from '../../../shared/tasks/step-reference.ts';
import type { SystemEntry } from '../../http/app-env.ts';
import { invalidField, invalidRequest, pointerStep, problemsOf } from '../../http/invalid-request.ts';
import { fieldNamesOf, unknownNames } from '../../http/spellings.ts';
import { requestSchema, resultSchema } from '../../openapi/json-schemas.ts';
import type { WishedChain } from '../../tasks/place-chain.ts';
import { mayFit, typesAt, typesOf } from './schema-types.ts';

/** A name that needs no escaping in a reference. */
const stepName = z.string('must be a text').regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -');

export const stepSubmission = z.object({
  name: stepName.describe('For references of later steps: `{"$from": "NAME/field"}` stands for a field of its result'),
  operation: z.string('must be the name of an operation').max(100),
  system: z
    .string('must be the name of a system')
    .max(255)
    .nullable()
    .optional()
    .describe('That of the submission, if not given'),
  input: z.record(z.string(), z.unknown(), 'must be an object').default({}),
});

export type StepSubmission = z.infer<typeof stepSubmission>;

/** What the steps before have given: their operations by name. */
type Earlier = ReadonlyMap<string, Operation>;

/** A step whose operation and system are known. */
export interface FoundStep {
  submission: StepSubmission;
  operation: Operation;
  system: SystemEntry | null;
}

/** Names that are there twice. InvalidRequest. */
export function refuseTwins(steps: readonly StepSubmission[]): void {
  steps.forEach(({ name }, n) => {
    const first = steps.findIndex((step) => step.name === name);
    if (first < n) throw invalidField('body', `/steps/${n}/name`, `is also the name of step ${first + 1}`);
  });
}

function pointerOf(at: string, path: readonly PropertyKey[]): string {
  return `${at}${path.map((key) => `/${pointerStep(key)}`).join('')}`;
}

/** Why a reference cannot be kept to, or null. */
function faultOf(
  reference: PlacedReference,
  { operation }: FoundStep,
  earlier: Earlier,
  names: readonly string[],
): string | null {
  const parsed = parseReference(reference.text);
  if (parsed === null)
    return `must be the name of a step and a JSON pointer into its result, e.g. {"${referenceKey}": "submit/jobId"}`;
  const giver = earlier.get(parsed.step);
  if (giver === undefined) {
    return names.includes(parsed.step)
      ? `refers to \`${parsed.step}\`, which does not run before this step: a step takes only what earlier ones gave`
      : `refers to \`${parsed.step}\`, and there is no such step; there are ${names.join(', ')}`;
  }
  const given = typesAt(resultSchema(giver.result), parsed.pointer);
  if (given === null) {
    return `refers to \`/${parsed.pointer.map(pointerStep).join('/')}\`, which the result of ${giver.name} does not have`;
  }
  const wanted = typesAt(requestSchema(operation.input), reference.path);
  if (wanted === null || mayFit(given, wanted)) return null;
  return `is given ${typesOf(given)} by \`${reference.text}\` and must be ${typesOf(wanted)}`;
}

function refuseWrongReferences(at: string, step: FoundStep, earlier: Earlier, names: readonly string[]): void {
  for (const reference of findReferences(step.submission.input)) {
    const pointer = pointerOf(`${at}/input`, reference.path);
    const fault = faultOf(reference, step, earlier, names);
    if (fault !== null) throw invalidField('body', pointer, fault);
    if (!reference.isAlone) throw invalidField('body', pointer, `must hold \`${referenceKey}\` alone`);
    if (reference.path.length === 0)
      throw invalidField('body', pointer, 'must be an object with the fields of the operation');
    if (reference.path[0] === step.operation.systemsField)
      throw invalidField('body', pointer, 'must be given, not taken from a step');
  }
}

/** The input as far as it is known: what stands in for results is looked at when they are there, in the worker. */
function admitKnown({ submission, operation, system }: FoundStep, at: string): Record<string, unknown> {
  const { input } = submission;
  const places = findReferences(input).map(({ path }) => path.join('\0'));
  const isOpen = (path: readonly PropertyKey[]): boolean =>
    places.some((place) => place.startsWith(path.join('\0')) || path.join('\0').startsWith(place));
  const parsed = operation.input.safeParse(input);
  const issues = parsed.success ? [] : parsed.error.issues.filter(({ path }) => !isOpen(path));
  if (issues.length > 0) throw invalidRequest(problemsOf(issues, input, (name) => ({ location: 'body', name })));
  if (system === null) return input;
  const roots = system.fileSystems.map(({ path }) => path);
  return underInput(at, () => admitPaths(operation, input, { systemName: system.name, roots }));
}

/** Puts the pointers of the input's problems where the caller sent it. */
export function underInput<T>(at: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof BrokerError) || thrown.fields.length === 0) throw thrown;
    const name = at.split('/')[1] ?? 'input';
    throw invalidRequest(thrown.fields.map((field) => ({ ...field, name, pointer: `${at}/input${field.pointer}` })));
  }
}

/** Looks through the steps in their order. `admitWhole` admits an input that takes nothing of other steps. InvalidRequest. */
export async function admitSteps(
  steps: readonly FoundStep[],
  admitWhole: (step: FoundStep, at: string) => Promise<Record<string, unknown>>,
): Promise<WishedChain> {
  const names = steps.map(({ submission }) => submission.name);
  const earlier = new Map<string, Operation>();
  const admitted: WishedChain['steps'][number][] = [];
  for (const [n, step] of steps.entries()) {
    const at = `/steps/${n}`;
    const { submission, operation, system } = step;
    const unknown = unknownNames(fieldNamesOf(operation.input), submission.input).filter(
      (path) => path.at(-1) !== referenceKey,
    );
    const [first] = unknown;
    if (first !== undefined) throw invalidField('body', pointerOf(`${at}/input`, first), 'is not known');
    refuseWrongReferences(at, step, earlier, names);
    const takes = isReference(submission.input) || findReferences(submission.input).length > 0;
    const input = takes ? underInput(at, () => admitKnown(step, at)) : await admitWhole(step, at);
    admitted.push({ name: submission.name, operation: operation.name, system: system?.name ?? null, input });
    earlier.set(submission.name, operation);
  }
  return { at: 0, steps: admitted };
}
