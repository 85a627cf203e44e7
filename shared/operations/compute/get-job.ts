/** A job by its id, running or ended. FirecREST v2: GET /compute/{system_name}/jobs/{job_id}. */
import { z } from 'zod';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { job } from './job.ts';

export const getJob = defineOperation({
  name: 'compute.get-job',
  summary: 'Status of a batch job',
  input: z.object({ jobId }),
  result: z.object({ jobs: z.array(job).min(1).describe('More than one where the scheduler used the id again') }),
  firecrest: {
    method: 'GET',
    path: '/compute/{system_name}/jobs/{job_id}',
    status: 200,
    params: { job_id: 'jobId' },
    answer: ({ jobs }) => ({ jobs }),
  },
  relation: 'view_status',
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: false,
  recover: 'rerun',
  paths: [],
  timeoutMs: 30_000,
  errors: ['JobNotFound', 'SchedulerFailed'],
});
