/**
 * A chain: a task of several steps, one operation after another, in one record. The end of a step makes the next one
 * pending in the same script (`stepScript`), so that no step is lost and none waits for somebody to notice.
 */
import { z } from 'zod';
import { type TaskState, taskStates } from './states.ts';
import { findReferences, resolveReferences } from './step-reference.ts';
import type { Task, TimelineStep } from './task.ts';

/** A step is in the state of its task while it is the present one. `waiting`: its turn comes; `skipped`: it never will. */
export const stepStates = [...taskStates, 'waiting', 'skipped'] as const;

export interface ChainStep {
  name: string;
  operation: string;
  system: string | null;
  queue: string;
  /** As it was submitted, with references to earlier steps. */
  input: unknown;
  /** Of a step that ended well. */
  result: unknown;
  /** What its handler had written down at its end. */
  journal: Record<string, unknown> | null;
}

export interface Chain {
  /** The present step, or the one that ended the task; from 0. */
  at: number;
  name: string;
  count: number;
  /** Empty in a list, which does not read them. */
  steps: ChainStep[];
}

/** A step about to be accepted. */
export interface NewStep {
  name: string;
  operation: string;
  system: string | null;
  queue: string;
  input: unknown;
  /** Tasks of its owner that may stand in its queue at once. */
  admittedMax: number;
  /** Of a step that an earlier task has done. */
  done?: { result: unknown; journal: Record<string, unknown> | null };
}

export interface NewChain {
  /** The step to begin with. */
  at: number;
  steps: readonly NewStep[];
}

/** The fields of the record that a chain adds; those of each step begin with `s0:`, `s1:` … */
export function chainFields({ at, steps }: NewChain): Record<string, string | number> {
  const fields: Record<string, string | number> = {
    step: at,
    stepsCount: steps.length,
    stepName: steps[at]?.name ?? '',
  };
  steps.forEach(({ name, operation, system, queue, input, admittedMax, done }, n) => {
    const own = { name, operation, system: system ?? '', queue, input: JSON.stringify(input), admittedMax };
    for (const [key, value] of Object.entries(own)) fields[`s${n}:${key}`] = value;
    if (done === undefined) return;
    fields[`s${n}:result`] = JSON.stringify(done.result);
    if (done.journal !== null) fields[`s${n}:journal`] = JSON.stringify(done.journal);
  });
  return fields;
}

const storedStep = z.object({
  name: z.string(),
  operation: z.string(),
  system: z.string(),
  queue: z.string(),
  input: z.string(),
  result: z.string().optional(),
  journal: z.string().optional(),
});

function parseStep(fields: Record<string, string>, n: number): ChainStep[] {
  if (fields[`s${n}:name`] === undefined) return [];
  const own = Object.keys(storedStep.shape).flatMap((key) => {
    const value = fields[`s${n}:${key}`];
    return value === undefined ? [] : [[key, value]];
  });
  const { system, input, result, journal, ...rest } = storedStep.parse(Object.fromEntries(own));
  return [
    {
      ...rest,
      system: system === '' ? null : system,
      input: JSON.parse(input) as unknown,
      result: result === undefined ? null : (JSON.parse(result) as unknown),
      journal: journal === undefined ? null : (JSON.parse(journal) as Record<string, unknown>),
    },
  ];
}

/** The chain from the fields of a record; null for a task of one operation. */
export function parseChain(fields: Record<string, string>): Chain | null {
  const { step, stepsCount, stepName = '' } = fields;
  if (step === undefined || stepsCount === undefined) return null;
  const count = Number(stepsCount);
  const steps = Array.from({ length: count }, (_, n) => parseStep(fields, n)).flat();
  return { at: Number(step), name: stepName, count, steps };
}

/** The fields that tell of the present step alone. */
export const chainSummaryFields = ['step', 'stepsCount', 'stepName'] as const;

type Told = Pick<Task, 'id' | 'chain' | 'input' | 'state' | 'timeline' | 'result' | 'error'>;

/** The input of the present step, with what earlier steps gave. InvalidRequest where they gave no such thing. */
export function inputOf({ chain, input }: Pick<Task, 'chain' | 'input'>): unknown {
  if (chain === null) return input;
  const done = chain.steps.slice(0, chain.at);
  return resolveReferences(input, new Map(done.map(({ name, result }) => [name, result])));
}

/** Whether the input of the present step is made of what earlier steps gave. */
export function takesResults({ chain, input }: Pick<Task, 'chain' | 'input'>): boolean {
  return chain !== null && findReferences(input).length > 0;
}

/** What names a task's traces on the cluster: each step leaves its own. */
export function traceIdOf({ id, chain }: Pick<Task, 'id' | 'chain'>): string {
  return chain === null || chain.at === 0 ? id : `${id}-${chain.at}`;
}

const submitted = z.object({ jobId: z.string() });

/** Jobs that steps of the chain have submitted and that no step has seen the end of. */
export function openJobsOf({ chain }: Pick<Task, 'chain'>): { system: string | null; jobId: string }[] {
  const done = chain?.steps.slice(0, chain.at) ?? [];
  const jobsOf = (operation: string) =>
    done.flatMap((step) => {
      const { data } = submitted.safeParse(step.result);
      return step.operation === operation && data !== undefined ? [{ system: step.system, jobId: data.jobId }] : [];
    });
  const ended = jobsOf('compute.await-job');
  return jobsOf('compute.submit-job').filter(
    (job) => !ended.some(({ system, jobId }) => system === job.system && jobId === job.jobId),
  );
}

/** A step as the native API shows it. */
export const stepView = z.object({
  name: z.string(),
  operation: z.string(),
  system: z.string().nullable(),
  state: z
    .enum(stepStates)
    .describe('`waiting`: an earlier step has not ended; `skipped`: an earlier one ended the task'),
  attempt: z.int(),
  startedAt: z.iso.datetime().nullable().describe('Null also where an earlier task has done the step'),
  finishedAt: z.iso.datetime().nullable(),
  input: z.unknown(),
  result: z.unknown(),
  error: z.object({ code: z.string(), message: z.string() }).loose().nullable(),
});

function stateOf({ state }: Told, at: number, n: number): z.infer<typeof stepView>['state'] {
  if (n < at) return 'completed';
  if (n === at) return state;
  return state === 'failed' || state === 'canceled' ? 'skipped' : 'waiting';
}

const ends: readonly TaskState[] = ['completed', 'failed', 'canceled'];

/** When the step ended: when the next one began to wait, or when the task ended. */
function endOf(timeline: readonly TimelineStep[], n: number): number | null {
  const end = timeline.find(
    ({ step, state }) => (step === n + 1 && state === 'pending') || (step === n && ends.includes(state)),
  );
  return end?.at ?? null;
}

/** Null for a task of one operation. */
export function viewSteps(task: Told): z.infer<typeof stepView>[] | null {
  const { chain, timeline } = task;
  if (chain === null) return null;
  const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return chain.steps.map(({ name, operation, system, input, result }, n) => {
    const runs = timeline.filter(({ step, state }) => step === n && state === 'active');
    const state = stateOf(task, chain.at, n);
    return {
      ...{ name, operation, system, state, attempt: runs.at(-1)?.attempt ?? 0, input },
      startedAt: time(runs[0]?.at ?? null),
      finishedAt: time(runs.length === 0 && n < chain.at ? null : endOf(timeline, n)),
      result: n === chain.at ? task.result : result,
      error: n === chain.at && task.error !== null ? { ...task.error } : null,
    };
  });
}
