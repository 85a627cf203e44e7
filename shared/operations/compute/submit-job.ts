/** Submits a batch job. FirecREST v2: POST /compute/{system_name}/jobs. */
import { z } from 'zod';
import { laxBoolean } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { jobDescription } from './job.ts';

export const submitJob = defineOperation({
  name: 'compute.submit-job',
  summary: 'Submit a batch job',
  input: z.object({
    job: jobDescription,
    watch: laxBoolean.default(false).describe('Be told of the job by events; a `webhook` is told of it too'),
  }),
  result: z.object({ jobId: z.string(), watchId: z.string().optional() }),
  firecrest: {
    method: 'POST',
    path: '/compute/{system_name}/jobs',
    status: 201,
    answer: ({ jobId, watchId }) => (watchId === undefined ? { jobId } : { jobId, watchId }),
  },
  relation: 'submit',
  // The diagnosis of a watched job holds the last lines that it wrote.
  alsoRelation: ({ watch }) => (watch ? 'read_files' : null),
  takesWebhook: { sets: 'watch' },
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: true,
  recover: 'verify',
  journalsFirst: true,
  paths: [],
  timeoutMs: 60_000,
  errors: ['InvalidJob', 'AccountRequired', 'SubmitLimit', 'SchedulerFailed', 'SubmissionInDoubt', 'TooManyWatches'],
});
