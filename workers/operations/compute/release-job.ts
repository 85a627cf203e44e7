/** Takes back the hold of a job. */
import type { releaseJob } from '../../../shared/operations/compute/release-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, JobEnded, PermissionDenied, NotSupported, SchedulerFailed. Safe to run twice. */
export async function handleReleaseJob(
  { jobId }: InputOf<typeof releaseJob>,
  { scheduler, host, signal, jobs }: OperationContext,
): Promise<ResultOf<typeof releaseJob>> {
  await scheduler.release(host, { jobId, signal });
  jobs.changed();
  return { jobId };
}
