/** Cancels a job; a job that has ended is left as it is. FirecREST v2: DELETE /compute/{system_name}/jobs/{job_id}. */
import { defineOperation } from '../operation.ts';
import { actOnJob, answersNothing } from './act-on-job.ts';

export const cancelJob = defineOperation({
  ...actOnJob,
  name: 'compute.cancel-job',
  summary: 'Cancel a batch job',
  firecrest: {
    method: 'DELETE',
    path: '/compute/{system_name}/jobs/{job_id}',
    ...answersNothing,
  },
  relation: 'cancel',
  errors: ['JobNotFound', 'PermissionDenied', 'SchedulerFailed'],
});
