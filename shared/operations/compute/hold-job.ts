/** Keeps a waiting job from starting until it is released. An addition to FirecREST v2: PUT /compute/{system_name}/jobs/{job_id}/hold. */
import { defineOperation } from '../operation.ts';
import { actOnJob, answersNothing } from './act-on-job.ts';

export const holdJob = defineOperation({
  ...actOnJob,
  name: 'compute.hold-job',
  summary: 'Keep a waiting batch job from starting',
  firecrest: {
    method: 'PUT',
    path: '/compute/{system_name}/jobs/{job_id}/hold',
    ...answersNothing,
    isAddition: true,
  },
  relation: 'submit',
  errors: ['JobNotFound', 'JobEnded', 'JobNotPending', 'PermissionDenied', 'SchedulerFailed'],
});
