/** Takes back a hold; a job that has none is left as it is. An addition to FirecREST v2: PUT /compute/{system_name}/jobs/{job_id}/release. */
import { defineOperation } from '../operation.ts';
import { actOnJob, answersNothing } from './act-on-job.ts';

export const releaseJob = defineOperation({
  ...actOnJob,
  name: 'compute.release-job',
  summary: 'Let a held batch job start',
  firecrest: {
    method: 'PUT',
    path: '/compute/{system_name}/jobs/{job_id}/release',
    ...answersNothing,
    isAddition: true,
  },
  relation: 'submit',
  errors: ['JobNotFound', 'JobEnded', 'PermissionDenied', 'SchedulerFailed'],
});
