/** A job by its id, as the scheduler shows it to the user. */
import type { getJob } from '../../../shared/operations/compute/get-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, SchedulerFailed. */
export async function handleGetJob(
  { jobId }: InputOf<typeof getJob>,
  { scheduler, host, signal }: OperationContext,
): Promise<ResultOf<typeof getJob>> {
  return { jobs: await scheduler.get(host, { jobId, signal }) };
}
