/** When a job would start, without submitting it. An addition to FirecREST v2: POST /compute/{system_name}/jobs/estimate. */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { defineOperation } from '../operation.ts';
import { jobDescription } from './job.ts';

export const jobEstimate = z.object({
  startAt: z.int().nullable().describe('Seconds since the epoch; null where the scheduler names no time'),
  nodes: z.string().nullable().describe("Where it would run, in the scheduler's notation; null where it is not named"),
  partition: z.string().nullable(),
  cpus: z.int().nullable(),
  message: z.string().describe("The scheduler's own words; may be empty"),
});

export type JobEstimate = z.infer<typeof jobEstimate>;

export const estimateJob = defineOperation({
  name: 'compute.estimate-job',
  summary: 'When a batch job would start, without submitting it',
  input: z.object({ job: jobDescription }),
  result: jobEstimate,
  firecrest: {
    method: 'POST',
    path: '/compute/{system_name}/jobs/estimate',
    status: 200,
    answer: (estimate) => estimate,
    isAddition: true,
  },
  relation: 'submit',
  ...askScheduler,
  timeoutMs: 60_000,
  errors: ['InvalidJob', 'AccountRequired', 'SubmitLimit', 'PermissionDenied', 'SchedulerFailed'],
});
