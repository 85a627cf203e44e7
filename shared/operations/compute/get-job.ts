/** A job by its id, running or ended. FirecREST v2: GET /compute/{system_name}/jobs/{job_id}. */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { job } from './job.ts';

export const getJob = defineOperation({
  name: 'compute.get-job',
  summary: 'Status of a batch job',
  input: z.object({ jobId }),
  result: z.object({
    jobs: z.array(job).min(1).describe('More than one where the scheduler used the id again'),
    ageSeconds: z.number().min(0).default(0).describe('How old the answer is: in a crowd one query answers all'),
  }),
  firecrest: {
    method: 'GET',
    path: '/compute/{system_name}/jobs/{job_id}',
    status: 200,
    params: { job_id: 'jobId' },
    answer: ({ jobs }) => ({ jobs }),
    // RFC 9111, section 5.1: only an answer that was not made for this request has an age.
    resultHeaders: ({ ageSeconds }): Record<string, string> =>
      ageSeconds > 0 ? { age: String(Math.floor(ageSeconds)) } : {},
  },
  relation: 'view_status',
  ...askScheduler,
  timeoutMs: 30_000,
  errors: ['JobNotFound', 'SchedulerFailed'],
});
