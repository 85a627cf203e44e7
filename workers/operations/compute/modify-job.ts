/** Changes a job that was submitted. */
import type { modifyJob } from '../../../shared/operations/compute/modify-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** InvalidJob, JobNotFound, JobEnded, JobNotPending, PermissionDenied, NotSupported, SchedulerFailed. */
export async function handleModifyJob(
  { jobId, ...changes }: InputOf<typeof modifyJob>,
  { scheduler, host, signal, jobs }: OperationContext,
): Promise<ResultOf<typeof modifyJob>> {
  await scheduler.modify(host, { jobId, changes, signal });
  jobs.changed();
  return { jobId };
}
