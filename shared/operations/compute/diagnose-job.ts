/** What became of a batch job, and why, in figures and in one plain sentence. */
import { z } from 'zod';
import { jobDiagnosis } from '../../watches/diagnosis.ts';
import { askScheduler } from '../ask-scheduler.ts';
import { jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const diagnoseJob = defineOperation({
  name: 'compute.diagnose-job',
  summary: 'What became of a batch job, and why',
  input: z.object({ jobId }),
  result: z.object({ diagnosis: jobDiagnosis }),
  firecrest: {
    method: 'GET',
    path: '/compute/{system_name}/jobs/{job_id}/diagnosis',
    status: 200,
    params: { job_id: 'jobId' },
    answer: ({ diagnosis }) => ({ diagnosis }),
    isAddition: true,
  },
  relation: 'read_files',
  ...askScheduler,
  timeoutMs: 60_000,
  errors: ['JobNotFound', 'SchedulerFailed'],
});
