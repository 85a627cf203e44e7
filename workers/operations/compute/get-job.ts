/** A job by its id, as the scheduler shows it to the user. */
import type { getJob } from '../../../shared/operations/compute/get-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, SchedulerFailed. */
export async function handleGetJob(
  { jobId }: InputOf<typeof getJob>,
  { jobs }: Pick<OperationContext, 'jobs'>,
): Promise<ResultOf<typeof getJob>> {
  const found = await jobs.get(jobId);
  return { jobs: found.jobs, ageSeconds: found.ageMs / 1_000 };
}
