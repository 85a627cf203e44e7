/** A job's script and the names of its files. FirecREST v2: GET /compute/{system_name}/jobs/{job_id}/metadata. */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

/** What a job was made of; null is what the scheduler does not know or does not show to the caller. */
export const jobMetadata = z.object({
  jobId: z.string(),
  script: z.string().nullable(),
  standardInput: z.string().nullable().describe('Absolute path, with %j and its like replaced where they are known'),
  standardOutput: z.string().nullable(),
  standardError: z.string().nullable().describe('The same as standardOutput where the job has one file for both'),
});

export type JobMetadata = z.infer<typeof jobMetadata>;

export const getJobMetadata = defineOperation({
  name: 'compute.job-metadata',
  summary: 'Script and files of a batch job',
  input: z.object({ jobId }),
  result: z.object({ jobs: z.array(jobMetadata).min(1).describe('One for each element of a job array') }),
  firecrest: {
    method: 'GET',
    path: '/compute/{system_name}/jobs/{job_id}/metadata',
    status: 200,
    params: { job_id: 'jobId' },
    answer: ({ jobs }) => ({ jobs }),
  },
  relation: 'view_status',
  ...askScheduler,
  timeoutMs: 60_000,
  errors: ['JobNotFound', 'SchedulerFailed'],
});
