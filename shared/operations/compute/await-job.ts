/**
 * Waits for the end of a job, however long that takes, without a worker, a place in a queue or a connection. Meant as a step
 * of a chain. An addition to FirecREST v2: GET /compute/{system_name}/jobs/{job_id}/end.
 */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

/** How a job must end for the wait to be a success. */
const expectations = ['completed', 'any'] as const;

export const awaitJob = defineOperation({
  name: 'compute.await-job',
  summary: 'Wait for the end of a batch job',
  input: z.object({
    jobId,
    expect: z
      .enum(expectations, `must be one of ${expectations.join(', ')}`)
      .default('completed')
      .describe('`completed`: a job that ends in another way is an error; `any`: it is told'),
  }),
  result: z.object({
    jobId: z.string(),
    state: z.string().describe('COMPLETED, FAILED, CANCELLED, TIMEOUT …'),
    exitCode: z.int().nullable(),
    interruptSignal: z.int().nullable(),
  }),
  firecrest: {
    method: 'GET',
    path: '/compute/{system_name}/jobs/{job_id}/end',
    status: 200,
    params: { job_id: 'jobId' },
    answer: (output) => output,
    isAddition: true,
  },
  relation: 'view_status',
  ...askScheduler,
  timeoutMs: 30_000,
  errors: ['JobNotFound', 'JobNotCompleted', 'SchedulerFailed'],
});
