/**
 * A watch: a standing wish of a user to hear what becomes of a job. A record in Redis; nothing else lives as long as the
 * job. With it stands the consent under which a worker goes on when the token that asked is gone.
 */
import { z } from 'zod';
import { type Policy, type Principal, policies } from '../tasks/task.ts';
import { jobDiagnosis } from './diagnosis.ts';

/**
 * `watching`; `unknown`: missing from the scheduler's listing, which is no answer; `ended`: the diagnosis is to come;
 * and the final ones. `lost`: the scheduler says again and again that there is no such job; `expired`: the consent ended.
 */
export const watchPhases = ['watching', 'unknown', 'ended', 'diagnosed', 'lost', 'expired'] as const;
export type WatchPhase = (typeof watchPhases)[number];

const finalPhases: ReadonlySet<WatchPhase> = new Set(['diagnosed', 'lost', 'expired']);

export function isOver(phase: WatchPhase): boolean {
  return finalPhases.has(phase);
}

/** What a worker does for the user, said to the user. */
export const consentActions = [
  'ask the scheduler for the job',
  'read where the job writes, and the end of its error output, on the cluster',
] as const;

/** Who agreed to what, until when. */
const consent = z.object({
  issuer: z.string(),
  subject: z.string(),
  client: z.string().nullable(),
  username: z.string().describe('The account on the cluster that the work is done as'),
  /** Where the request came from; null: not known. */
  address: z.string().nullable().default(null),
  /** Which policy let it in. */
  policy: z.enum(policies).default('builtin'),
  actions: z.array(z.string()),
  givenAt: z.number(),
  /** Milliseconds since the epoch. */
  until: z.number(),
  taskId: z.string().describe('The task that asked'),
});

export type Consent = z.infer<typeof consent>;

/** How the job stood when it was last seen. */
export const jobStanding = z.object({
  state: z.string(),
  stateReason: z.string().nullable(),
  exitCode: z.int().nullable(),
  signal: z.int().nullable(),
  submittedAt: z.int().nullable().describe('Seconds since the epoch'),
  startedAt: z.int().nullable(),
  endedAt: z.int().nullable(),
  limitSeconds: z.int().nullable(),
});

export type JobStanding = z.infer<typeof jobStanding>;

/** One look for a job that is missing. */
const look = z.object({ at: z.number(), answer: z.string(), isProof: z.boolean() });
export type Look = z.infer<typeof look>;

/** Looks that a record keeps: the first, and the last ones. */
export const looksKeptMax = 10;

const json = <Schema extends z.ZodType>(schema: Schema) =>
  z.string().transform((text, context): z.output<Schema> => {
    const parsed = schema.safeParse(text === '' ? null : JSON.parse(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: parsed.error.message });
    return z.NEVER;
  });

const storedWatch = z.object({
  id: z.string(),
  owner: z.string(),
  system: z.string(),
  jobId: z.string(),
  phase: z.enum(watchPhases),
  createdAt: z.coerce.number(),
  consent: json(consent),
  /** JSON of an address and its sealed secret; empty: none. */
  webhook: z.string().default(''),
  /** Grows with every write; a write that knows an older one is refused. */
  revision: z.coerce.number(),
  /** Events told so far. */
  sequence: z.coerce.number(),
  standing: json(jobStanding.nullable()).default(null),
  /** When the state last changed, as far as it was seen. */
  changedAt: z.coerce.number(),
  missingSince: z.coerce.number().default(0),
  looks: json(z.array(look)).default([]),
  diagnosis: json(jobDiagnosis.nullable()).default(null),
});

export type Watch = z.infer<typeof storedWatch>;

/** From the fields of its hash. Throws a ZodError when they are not a watch's. */
export function parseWatch(fields: Record<string, string>): Watch {
  return storedWatch.parse(fields);
}

/** Of a chain each step may set one. */
export function watchIdOf(taskId: string, step = 0): string {
  return step === 0 ? `watch_${taskId}` : `watch_${taskId}_${step}`;
}

/** Whether that may be an id at all. */
export function isWatchId(text: string): boolean {
  return /^watch_[0-9a-f-]{36}(_\d{1,4})?$/.test(text);
}

export interface ConsentWish {
  principal: Principal;
  address: string | null;
  policy: Policy;
  taskId: string;
  now: number;
  keptMs: number;
}

export function consentOf({ principal, address, policy, taskId, now, keptMs }: ConsentWish): Consent {
  const until = now + keptMs;
  return { ...principal, address, policy, actions: [...consentActions], givenAt: now, until, taskId };
}

const time = z.iso.datetime();

/** A watch as the API shows it. */
export const watchView = z.object({
  id: z.string(),
  system: z.string(),
  jobId: z.string(),
  phase: z.enum(watchPhases),
  job: jobStanding.nullable().describe('As it was last seen; null: not seen yet'),
  changedAt: time.describe('When the state last changed'),
  missingSince: time.nullable().describe('Since when the scheduler does not list it'),
  looks: z
    .array(z.object({ at: time, answer: z.string(), isProof: z.boolean() }))
    .describe('What was tried to find it; a proof is an answer of everything that knows jobs'),
  diagnosis: jobDiagnosis.nullable(),
  sequence: z.int().describe('Events told so far'),
  hasWebhook: z.boolean(),
  createdAt: time,
  consent: z.object({
    subject: z.string(),
    client: z.string().nullable(),
    username: z.string(),
    from: z.string().nullable().describe('Address that the request came from'),
    actions: z.array(z.string()),
    givenAt: time,
    until: time,
    taskId: z.string(),
  }),
});

const iso = (ms: number): string => new Date(ms).toISOString();

export function viewWatch(watch: Watch): z.infer<typeof watchView> {
  const { id, system, jobId, phase, standing, diagnosis, sequence, consent: given } = watch;
  const { subject, client, username, address: from, actions, taskId } = given;
  return {
    ...{ id, system, jobId, phase, job: standing, diagnosis, sequence },
    changedAt: iso(watch.changedAt),
    missingSince: watch.missingSince === 0 ? null : iso(watch.missingSince),
    looks: watch.looks.map(({ at, answer, isProof }) => ({ at: iso(at), answer, isProof })),
    hasWebhook: watch.webhook !== '',
    createdAt: iso(watch.createdAt),
    consent: { subject, client, username, from, actions, givenAt: iso(given.givenAt), until: iso(given.until), taskId },
  };
}
