/** Cancels a job; a job that has ended is left as it is. FirecREST v2: DELETE /compute/{system_name}/jobs/{job_id}. */
import { z } from 'zod';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const cancelJob = defineOperation({
  name: 'compute.cancel-job',
  summary: 'Cancel a batch job',
  input: z.object({ jobId }),
  result: z.object({ jobId: z.string() }),
  firecrest: {
    method: 'DELETE',
    path: '/compute/{system_name}/jobs/{job_id}',
    status: 204,
    params: { job_id: 'jobId' },
    answer: () => undefined,
  },
  relation: 'cancel',
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: true,
  recover: 'rerun',
  paths: [],
  timeoutMs: 30_000,
  errors: ['JobNotFound', 'PermissionDenied', 'SchedulerFailed'],
});
