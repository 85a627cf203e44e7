/** When a job would start if it were submitted now. */
import type { estimateJob } from '../../../shared/operations/compute/estimate-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** What `handleSubmitJob` throws where the job is refused; NotSupported, SchedulerFailed. Submits nothing. */
export async function handleEstimateJob(
  { job }: InputOf<typeof estimateJob>,
  { scheduler, host, signal }: OperationContext,
): Promise<ResultOf<typeof estimateJob>> {
  return scheduler.estimate(host, { job, signal });
}
