/** A job's script and the names of its files. */
import type { getJobMetadata } from '../../../shared/operations/compute/job-metadata.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, SchedulerFailed. */
export async function handleJobMetadata(
  { jobId }: InputOf<typeof getJobMetadata>,
  { scheduler, host, jobs }: OperationContext,
): Promise<ResultOf<typeof getJobMetadata>> {
  return {
    jobs: await jobs.share(['metadata', jobId], (shared) => scheduler.metadata(host, { jobId, signal: shared })),
  };
}
