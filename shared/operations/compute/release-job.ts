/** Takes back a hold; a job that has none is left as it is. An addition to FirecREST v2: PUT /compute/{system_name}/jobs/{job_id}/release. */
import { z } from 'zod';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const releaseJob = defineOperation({
  name: 'compute.release-job',
  summary: 'Let a held batch job start',
  input: z.object({ jobId }),
  result: z.object({ jobId: z.string() }),
  firecrest: {
    method: 'PUT',
    path: '/compute/{system_name}/jobs/{job_id}/release',
    status: 204,
    params: { job_id: 'jobId' },
    answer: () => undefined,
    isAddition: true,
  },
  relation: 'submit',
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: true,
  recover: 'rerun',
  paths: [],
  timeoutMs: 30_000,
  errors: ['JobNotFound', 'JobEnded', 'PermissionDenied', 'SchedulerFailed'],
});
