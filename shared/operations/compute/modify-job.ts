/** Changes a job that was submitted. An addition to FirecREST v2: PATCH /compute/{system_name}/jobs/{job_id}. */
import { z } from 'zod';
import { jobId, optionalLine } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { beginAt, priority, qos, timeLimitSeconds } from './job-resources.ts';

const changes = {
  name: optionalLine(1024),
  account: optionalLine(1024),
  partition: optionalLine(1024),
  qos,
  timeLimitSeconds,
  beginAt,
  priority,
};

const changeNames = Object.keys(changes) as (keyof typeof changes)[];

export const modifyJob = defineOperation({
  name: 'compute.modify-job',
  summary: 'Change a batch job; what is left out stays as it is',
  input: z.object({ jobId, ...changes }).superRefine((input, context) => {
    if (changeNames.some((name) => input[name] !== null)) return;
    const message = `must change something: at least one of ${changeNames.join(', ')}`;
    context.addIssue({ code: 'custom', path: [], message });
  }),
  result: z.object({ jobId: z.string() }),
  firecrest: {
    method: 'PATCH',
    path: '/compute/{system_name}/jobs/{job_id}',
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
  // The job may have started by its own change: to do it again could say that it failed.
  recover: 'unknown',
  paths: [],
  timeoutMs: 30_000,
  errors: [
    'InvalidJob',
    'JobNotFound',
    'JobEnded',
    'JobNotPending',
    'PermissionDenied',
    'SchedulerFailed',
    'OutcomeUnknown',
  ],
});
