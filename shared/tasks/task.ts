/** The task record: one accepted request to run an operation. It lives in a Redis hash; this file reads and shows it. */
import { z } from 'zod';
import type { StoredError } from '../errors/broker-error.ts';
import { type Chain, chainSummaryFields, parseChain, stepView, viewSteps } from './chain.ts';
import { consentView, viewConsent } from './consent.ts';
import { type TaskState, taskStates } from './states.ts';

/** Who asked. `subject` and `issuer` identify; `username` is the account on the clusters. */
export interface Principal {
  issuer: string;
  subject: string;
  username: string;
  client: string | null;
}

/** The key a principal's tasks are kept under; issuers are told apart. */
export function principalKey(principal: Pick<Principal, 'issuer' | 'subject'>): string {
  return `${encodeURIComponent(principal.issuer)}|${encodeURIComponent(principal.subject)}`;
}

/** One step of a task's life: the state it reached, when, and in which attempt. */
export interface TimelineStep {
  state: TaskState;
  at: number;
  attempt: number;
  /** Of a chain: which step of it, from 0. */
  step?: number;
}

/** Who is asked what a user may do: nobody besides the token, or OpenFGA. */
export const policies = ['builtin', 'openfga'] as const;

export type Policy = (typeof policies)[number];

/** How far a task has come. */
export const progressView = z.object({
  done: z.number(),
  /** Null: not known. */
  total: z.number().nullable(),
  unit: z.enum(['bytes']),
  message: z.string(),
  bytesPerSecond: z.number().optional().describe('Since the step it is in began'),
  entries: z.int().optional().describe('Of a tree: how many are done'),
  entriesTotal: z.int().optional().describe('Of a tree: how many there are, where that is known'),
});

export type Progress = z.infer<typeof progressView>;

/** Where a large result waits, in how many bytes of JSON, until when; ms since the epoch. The address is for the API alone. */
export interface LargeResult {
  url: string;
  sizeBytes: number;
  until: number;
}

/** Times are milliseconds since the epoch. */
export interface Task {
  id: string;
  operation: string;
  /** System name, or null for an operation about the broker itself. */
  system: string | null;
  queue: string;
  owner: string;
  principal: Principal;
  input: unknown;
  state: TaskState;
  /** How often a worker has taken it; the first run is 1. */
  attempt: number;
  /** How many of these ended because the worker was told to stop. */
  handBacks: number;
  /** Grows with each claim; a write that carries an older one is refused. */
  fence: number;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  deadlineAt: number;
  expiresAt: number | null;
  timeline: TimelineStep[];
  result: unknown;
  /** A result that is too large for the record and waits at the worker that made it; null: there is none. */
  largeResult: LargeResult | null;
  error: StoredError | null;
  isCancelRequested: boolean;
  /** What a handler wrote down before an effect, for the next attempt to find. */
  journal: Record<string, unknown> | null;
  requestId: string | null;
  /** The trace that its request belongs to (W3C Trace Context); null: its client named none. */
  traceparent: string | null;
  /** Whether a request was held for its end when it was accepted. */
  isHeld: boolean;
  /** Whether a small result may be told to that request before it is stored. */
  isToldFirst: boolean;
  /** The API process that waits for its end; null: nobody. */
  replyTo: string | null;
  /** The queue entry that carries it, where that is known. */
  entryId: string | null;
  /** Of a task that was laid by: when a worker looks at it again. */
  notBeforeAt: number | null;
  /** Of a task that was laid by and is glanced at meanwhile: when that was last; null: it is not. */
  glancedAt: number | null;
  progress: Progress | null;
  /** The job that FirecREST's clients know it as; null where they know of no job. */
  jobId: string | null;
  /** Words of the owner's own, to find tasks by. */
  tags: string[];
  /** Among the waiting tasks of its owner; a higher one goes first. */
  priority: number;
  /** It does not begin before that time; null: at once. */
  startAt: number | null;
  /** The owner's access token, sealed for this task, where SSH credentials need one; gone with the end of the task. */
  sealedToken: string | null;
  /** Of a task of several steps; then operation, system, queue, input, attempt and journal are the present step's. */
  chain: Chain | null;
  /** The task that this one repeats; null: none. */
  retryOf: string | null;
  /** JSON of an address to tell of its end, with the sealed secret to sign with; null: none. */
  webhook: string | null;
  /** Where the request came from; null: not known. */
  address: string | null;
  /** Which policy let it in: a worker that does not have it must not go on by a wider one. */
  policy: Policy;
}

const storedHash = z.object({
  id: z.string(),
  operation: z.string(),
  system: z.string().default(''),
  queue: z.string(),
  owner: z.string(),
  principal: z.string(),
  input: z.string(),
  state: z.enum(taskStates),
  attempt: z.coerce.number(),
  fence: z.coerce.number(),
  createdAt: z.coerce.number(),
  startedAt: z.coerce.number().optional(),
  finishedAt: z.coerce.number().optional(),
  deadlineAt: z.coerce.number(),
  expiresAt: z.coerce.number().optional(),
  timeline: z.string().default(''),
  result: z.string().optional(),
  resultUrl: z.string().optional(),
  resultBytes: z.coerce.number().optional(),
  resultUntil: z.coerce.number().optional(),
  error: z.string().optional(),
  cancel: z.string().optional(),
  journal: z.string().optional(),
  requestId: z.string().optional(),
  traceparent: z.string().optional(),
  entryId: z.string().default(''),
  handBacks: z.coerce.number().default(0),
  isHeld: z.string().default('0'),
  isToldFirst: z.string().optional(),
  replyTo: z.string().default(''),
  notBeforeAt: z.string().default(''),
  glancedAt: z.string().default(''),
  progress: z.string().optional(),
  jobId: z.string().optional(),
  tags: z.string().default(''),
  priority: z.coerce.number().default(0),
  startAt: z.coerce.number().optional(),
  token: z.string().optional(),
  retryOf: z.string().optional(),
  webhook: z.string().optional(),
  address: z.string().optional(),
  policy: z.enum(policies).default('builtin'),
});

/** The record from the fields of its hash. Throws a ZodError when the hash is not a task. */
export function parseTask(fields: Record<string, string>): Task {
  const hash = storedHash.parse(fields);
  return {
    id: hash.id,
    operation: hash.operation,
    system: hash.system === '' ? null : hash.system,
    queue: hash.queue,
    owner: hash.owner,
    principal: JSON.parse(hash.principal) as Principal,
    input: JSON.parse(hash.input) as unknown,
    state: hash.state,
    attempt: hash.attempt,
    handBacks: hash.handBacks,
    fence: hash.fence,
    createdAt: hash.createdAt,
    startedAt: hash.startedAt ?? null,
    finishedAt: hash.finishedAt ?? null,
    deadlineAt: hash.deadlineAt,
    expiresAt: hash.expiresAt ?? null,
    timeline: parseTimeline(hash.timeline),
    result: hash.result === undefined ? null : (JSON.parse(hash.result) as unknown),
    largeResult: largeResultOf(hash),
    error: hash.error === undefined ? null : (JSON.parse(hash.error) as StoredError),
    isCancelRequested: hash.cancel !== undefined,
    journal: hash.journal === undefined ? null : (JSON.parse(hash.journal) as Record<string, unknown>),
    requestId: hash.requestId ?? null,
    traceparent: hash.traceparent ?? null,
    isHeld: hash.isHeld === '1',
    isToldFirst: hash.isToldFirst === '1',
    replyTo: hash.replyTo === '' ? null : hash.replyTo,
    entryId: hash.entryId === '' ? null : hash.entryId,
    notBeforeAt: hash.notBeforeAt === '' ? null : Number(hash.notBeforeAt),
    glancedAt: hash.glancedAt === '' ? null : Number(hash.glancedAt),
    progress: hash.progress === undefined ? null : (JSON.parse(hash.progress) as Progress),
    jobId: hash.jobId ?? null,
    tags: hash.tags.split(',').filter((tag) => tag !== ''),
    priority: hash.priority,
    startAt: hash.startAt ?? null,
    sealedToken: hash.token ?? null,
    chain: parseChain(fields),
    retryOf: hash.retryOf ?? null,
    webhook: hash.webhook ?? null,
    address: hash.address ?? null,
    policy: hash.policy,
  };
}

/** One that the held request fetches is no more there when anybody asks; it has no time until which it is kept. */
function largeResultOf({ resultUrl, resultBytes, resultUntil }: z.infer<typeof storedHash>): LargeResult | null {
  if (resultUrl === undefined || resultBytes === undefined || resultUntil === undefined) return null;
  return { url: resultUrl, sizeBytes: resultBytes, until: resultUntil };
}

/** The timeline is kept as `state@ms@attempt`, and of a chain with `@step` after it, joined by `;`, so that the store's script appends without parsing. */
function parseTimeline(text: string): TimelineStep[] {
  return text
    .split(';')
    .filter((step) => step !== '')
    .map((step) => {
      const [state, at, attempt, n] = step.split('@');
      const moment = { state: state as TaskState, at: Number(at), attempt: Number(attempt) };
      return n === undefined ? moment : { ...moment, step: Number(n) };
    });
}

/** A task as the native API shows it. Times are RFC 3339 in UTC. */
export const taskView = z.object({
  id: z.string(),
  operation: z.string(),
  system: z.string().nullable(),
  state: z.enum(taskStates),
  attempt: z.int(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  deadlineAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  cancelRequested: z.boolean(),
  progress: progressView.nullable(),
  jobId: z.string().nullable().describe('The job that FirecREST’s routes know a transfer as'),
  tags: z.array(z.string()),
  priority: z.int(),
  notBefore: z.iso.datetime().nullable(),
  timeline: z.array(
    z.object({ state: z.enum(taskStates), at: z.iso.datetime(), attempt: z.int(), step: z.int().optional() }),
  ),
  retryOf: z.string().nullable().describe('The task that this one repeats from where it failed'),
  step: z
    .object({ name: z.string(), number: z.int().describe('From 1'), of: z.int() })
    .nullable()
    .describe('Of a chain: the present step, which operation, system, attempt, input and result are about'),
  steps: z.array(stepView).nullable().describe('Of a chain: all of its steps'),
  consent: consentView.describe('What is done for whom, until when, also when the token is gone'),
  input: z.unknown(),
  result: z.unknown(),
  largeResult: z
    .object({ sizeBytes: z.int(), until: z.iso.datetime() })
    .nullable()
    .describe('Of a result too large to stand here: GET /tasks/{id}/result answers with it until then'),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      fault: z.enum(['caller', 'cluster', 'broker']),
      retryable: z.boolean(),
      advice: z.string(),
    })
    .loose()
    .nullable(),
});

export type TaskView = z.infer<typeof taskView>;

/** A task in a list: without what it was given and what came of it, which may be large. */
export const taskSummaryView = taskView.omit({ input: true, result: true, steps: true, consent: true });

export type TaskSummaryView = z.infer<typeof taskSummaryView>;

/** The fields of the hash that a summary is made of; the input is not read. */
export const summaryFields = [
  ...Object.keys(storedHash.shape).filter(
    (field) => !['input', 'result', 'journal', 'token', 'webhook'].includes(field),
  ),
  ...chainSummaryFields,
];

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function viewLargeResult({ largeResult }: Task): TaskView['largeResult'] {
  return largeResult && { sizeBytes: largeResult.sizeBytes, until: isoTime(largeResult.until) };
}

export function viewTask(task: Task): TaskView {
  return {
    id: task.id,
    operation: task.operation,
    system: task.system,
    state: task.state,
    attempt: task.attempt,
    createdAt: isoTime(task.createdAt),
    startedAt: task.startedAt === null ? null : isoTime(task.startedAt),
    finishedAt: task.finishedAt === null ? null : isoTime(task.finishedAt),
    deadlineAt: isoTime(task.deadlineAt),
    expiresAt: task.expiresAt === null ? null : isoTime(task.expiresAt),
    cancelRequested: task.isCancelRequested,
    progress: task.progress,
    jobId: task.jobId,
    tags: task.tags,
    priority: task.priority,
    notBefore: task.startAt === null ? null : isoTime(task.startAt),
    timeline: task.timeline.map((step) => ({ ...step, at: isoTime(step.at) })),
    retryOf: task.retryOf,
    step: task.chain === null ? null : { name: task.chain.name, number: task.chain.at + 1, of: task.chain.count },
    steps: viewSteps(task),
    consent: viewConsent(task),
    input: task.input,
    result: task.result,
    largeResult: viewLargeResult(task),
    error: task.error === null ? null : { ...task.error },
  };
}

export function summarizeTask(task: Task): TaskSummaryView {
  const { input: _input, result: _result, steps: _steps, consent: _consent, ...summary } = viewTask(task);
  return summary;
}

/** Tags as the record keeps them: each between commas, so that one is found in the text. */
export function storedTags(tags: readonly string[]): string {
  return tags.length === 0 ? '' : `,${tags.join(',')},`;
}

/** Bounds of a priority, both included. */
export const priorityMax = 100;

/** Place among an owner's waiting tasks: the higher priority first, then the earlier time. */
export function waitScore(priority: number, atMs: number): number {
  return atMs - priority * 1e13;
}
