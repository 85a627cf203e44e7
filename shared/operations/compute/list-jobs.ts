/** The jobs of the queue and those that ended lately. FirecREST v2: GET /compute/{system_name}/jobs. */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { clusterText, laxBoolean, optionalLine } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { job } from './job.ts';
import { optionalInteger } from './job-resources.ts';

/** Length of a time window in seconds, by its name on the wire. */
export const timeWindowSeconds = {
  '1h': 3_600,
  '8h': 8 * 3_600,
  '24h': 24 * 3_600,
  '3d': 3 * 24 * 3_600,
  '7d': 7 * 24 * 3_600,
} as const;

export type TimeWindow = keyof typeof timeWindowSeconds;

const timeWindows = Object.keys(timeWindowSeconds) as TimeWindow[];

const nameCharsMax = 235;

const jobName = z
  .preprocess(
    (value) => (value === '' ? null : value),
    clusterText(nameCharsMax * 4)
      .refine((text) => [...text].length <= nameCharsMax, `must be at most ${nameCharsMax} characters long`)
      .nullable(),
  )
  .default(null);

/** An empty text is unset. */
const timeWindow = z.preprocess(
  (value) => (value === '' ? undefined : value),
  clusterText(32)
    .pipe(z.enum(timeWindows, `must be one of ${timeWindows.join(', ')}`))
    .default('24h'),
);

/** Longest way back that `since` may reach. */
export const sinceSecondsMax = 31 * 24 * 3_600;

/** `RUNNING,PENDING` as its words. */
const states = z
  .preprocess(
    (value) => (typeof value === 'string' ? value.split(',').filter((word) => word.trim() !== '') : value),
    z
      .array(
        clusterText(64)
          .transform((word) => word.trim().toUpperCase())
          .refine((word) => /^[A-Z_]+$/.test(word), 'must be a state such as RUNNING'),
      )
      .max(20)
      .nullable(),
  )
  .default(null);

export const listJobs = defineOperation({
  name: 'compute.list-jobs',
  summary: 'List batch jobs',
  input: z.object({
    allusers: laxBoolean.default(false).describe("Also other users' jobs, as far as the scheduler shows them"),
    account: optionalLine(1024).describe('Only jobs of this account'),
    name: jobName.describe('Only jobs of exactly this name'),
    time_window: timeWindow.describe(
      'How far back jobs that ended are looked for; jobs that have not ended are always listed',
    ),
    state: states.describe('Only jobs in one of these states, separated by commas'),
    partition: optionalLine(1024).describe('Only jobs of this partition'),
    user: optionalLine(256).describe('Only jobs of this user; another one than the caller as with `allusers`'),
    since: optionalInteger(0, 2 ** 40).describe(
      'Only jobs submitted at this time or later, seconds since the epoch; at most 31 days back, and looked for as far as that',
    ),
    until: optionalInteger(0, 2 ** 40).describe('Only jobs submitted before this time, seconds since the epoch'),
    limit: optionalInteger(1, 10_000).describe('Most jobs in the answer'),
    cursor: optionalLine(256).describe(
      '`Next-Cursor` header (`nextCursor` of a task) of an answer to the same question, for the jobs that follow',
    ),
  }),
  result: z.object({
    jobs: z.array(job).describe('Newest submission first'),
    nextCursor: z.string().nullable().default(null).describe('For the jobs that follow; null where there are none'),
    omittedJobs: z.int().describe('Older jobs that were left out because there are too many'),
    isComplete: z.boolean().describe('False where the accounting did not answer: ended jobs may be missing'),
  }),
  firecrest: {
    method: 'GET',
    path: '/compute/{system_name}/jobs',
    status: 200,
    answer: ({ jobs }) => ({ jobs }),
    resultHeaders: ({ nextCursor }): Record<string, string> =>
      nextCursor === null ? {} : { 'next-cursor': nextCursor },
  },
  relation: 'view_status',
  ...askScheduler,
  timeoutMs: 60_000,
  errors: ['InvalidRequest', 'SchedulerFailed'],
});
