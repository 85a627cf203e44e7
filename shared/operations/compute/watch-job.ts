/** Watches a batch job, whoever submitted it, if the scheduler shows it to the user: its end becomes an event. */
import { z } from 'zod';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

/** When the consent to a watch ends. */
export const watchUntil = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time with zone, e.g. 2026-01-31T12:00:00Z' })
  .describe('The watch ends by then at the latest; `watch_for_max` of the operator from now if not given');

export const watchJob = defineOperation({
  name: 'compute.watch-job',
  summary: 'Watch a batch job',
  input: z.object({ jobId, until: watchUntil.nullable().default(null) }),
  result: z.object({ watchId: z.string() }),
  firecrest: {
    method: 'POST',
    path: '/compute/{system_name}/jobs/{job_id}/watch',
    status: 201,
    params: { job_id: 'jobId' },
    headers: { 'goldcrest-until': 'until' },
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
