/** Submits a batch job. FirecREST v2: POST /compute/{system_name}/jobs. */
import { z } from 'zod';
import { defineOperation } from '../operation.ts';
import { jobDescription } from './job.ts';

export const submitJob = defineOperation({
  name: 'compute.submit-job',
  summary: 'Submit a batch job',
  input: z.object({ job: jobDescription }),
  result: z.object({ jobId: z.string() }),
  firecrest: {
    method: 'POST',
    path: '/compute/{system_name}/jobs',
    status: 201,
    answer: ({ jobId }) => ({ jobId }),
  },
  relation: 'submit',
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: true,
  recover: 'verify',
  journalsFirst: true,
  paths: [],
  timeoutMs: 60_000,
  errors: ['InvalidJob', 'AccountRequired', 'SubmitLimit', 'SchedulerFailed', 'SubmissionInDoubt'],
});
