/** Cancels a job by its id; one that has ended is left as it is. */
import type { cancelJob } from '../../../shared/operations/compute/cancel-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, PermissionDenied, SchedulerFailed. Safe to run twice. */
export async function handleCancelJob(
  { jobId }: InputOf<typeof cancelJob>,
  { scheduler, host, signal, jobs }: OperationContext,
): Promise<ResultOf<typeof cancelJob>> {
  await scheduler.cancel(host, { jobId, signal });
  jobs.changed();
  return { jobId };
}
