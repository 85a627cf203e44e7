/** Keeps a waiting job from starting. */
import type { holdJob } from '../../../shared/operations/compute/hold-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, JobEnded, JobNotPending, PermissionDenied, NotSupported, SchedulerFailed. Safe to run twice. */
export async function handleHoldJob(
  { jobId }: InputOf<typeof holdJob>,
  { scheduler, host, signal, jobs }: OperationContext,
): Promise<ResultOf<typeof holdJob>> {
  await scheduler.hold(host, { jobId, signal });
  jobs.changed();
  return { jobId };
}
