/** Keeps a waiting job from starting until it is released. An addition to FirecREST v2: PUT /compute/{system_name}/jobs/{job_id}/hold. */
import { z } from 'zod';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const holdJob = defineOperation({
  name: 'compute.hold-job',
  summary: 'Keep a waiting batch job from starting',
  input: z.object({ jobId }),
  result: z.object({ jobId: z.string() }),
  firecrest: {
    method: 'PUT',
    path: '/compute/{system_name}/jobs/{job_id}/hold',
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
  errors: ['JobNotFound', 'JobEnded', 'JobNotPending', 'PermissionDenied', 'SchedulerFailed'],
});
