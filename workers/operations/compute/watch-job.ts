/** Sets a watch on a job that the scheduler shows to the user. */
import type { watchJob } from '../../../shared/operations/compute/watch-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { hasEnded, standingOf } from '../../watches/standing.ts';
import type { OperationContext } from '../operation-context.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';

/** InvalidRequest, JobNotFound, SchedulerFailed, TooManyWatches. */
export async function handleWatchJob(
  { jobId, until }: InputOf<typeof watchJob>,
  context: OperationContext,
): Promise<ResultOf<typeof watchJob>> {
  context.watches.ensureTime(until);
  const { jobs } = await context.jobs.get(jobId);
  refuseUnwanted(context);
  const standing = standingOf(jobs) ?? null;
  // A job that has ended already is told of as one that ends.
  const known = standing !== null && hasEnded(standing.state) ? null : standing;
  return { watchId: await context.watches.begin(jobId, known, 'bounded', until) };
}
