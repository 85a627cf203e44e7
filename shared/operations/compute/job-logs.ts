/** What a batch job writes, as it is there or as it comes: read as the user, past Redis. */
import { z } from 'zod';
import { jobId, laxBoolean, laxInteger } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const logStreams = ['stdout', 'stderr'] as const;

/** Longest life of a stream that may be configured. */
const followMsMax = 24 * 3_600_000;

const offset = laxInteger.pipe(z.int().min(0, 'must be at least 0'));

export const jobLogs = defineOperation({
  name: 'compute.job-logs',
  summary: 'Output of a batch job',
  input: z.object({
    jobId,
    stream: z.enum(logStreams, 'must be one of stdout and stderr').default('stdout'),
    follow: laxBoolean
      .default(false)
      .describe('As server-sent events, until the job has ended and its output is read to the end'),
    offset: offset.default(0).describe('Bytes to leave out at the beginning'),
    lastEventId: offset.optional().describe('Goes on after that event: the offset behind it'),
  }),
  result: z.object({ sentBytes: z.int(), offset: z.int().describe('Behind the last byte that was sent') }),
  firecrest: {
    method: 'GET',
    path: '/compute/{system_name}/jobs/{job_id}/logs',
    status: 200,
    params: { job_id: 'jobId' },
    headers: { 'last-event-id': 'lastEventId' },
    answer: (result) => result,
    isAddition: true,
  },
  relation: 'read_files',
  requires: ['ssh', 'scheduler', 'filesystem'],
  lane: 'transfer',
  scope: 'system',
  mutates: false,
  bytes: 'out',
  streams: 'log',
  recover: 'rerun',
  // Where it writes is asked of the scheduler; the handler has the path looked at.
  paths: [],
  timeoutMs: followMsMax,
  errors: ['JobNotFound', 'SchedulerFailed', 'FileNotFound', 'PermissionDenied', 'PathNotAllowed', 'TooManyStreams'],
});
