/** Watches a batch job, whoever submitted it, if the scheduler shows it to the user: its end becomes an event. */
import { z } from 'zod';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const watchJob = defineOperation({
  name: 'compute.watch-job',
  summary: 'Watch a batch job',
  input: z.object({ jobId }),
  result: z.object({ watchId: z.string() }),
  firecrest: {
    method: 'POST',
    path: '/compute/{system_name}/jobs/{job_id}/watch',
    status: 201,
    params: { job_id: 'jobId' },
    answer: ({ watchId }) => ({ watchId }),
    isAddition: true,
  },
  // Its diagnosis holds the last lines that the job wrote.
  relation: 'read_files',
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: true,
  // The id of the watch is the task's.
  recover: 'rerun',
  paths: [],
  timeoutMs: 30_000,
  errors: ['JobNotFound', 'SchedulerFailed', 'TooManyWatches'],
});
