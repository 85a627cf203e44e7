/** The user's jobs, or everybody's: what waits and runs, and what ended within the time window. */
import { type listJobs, timeWindowSeconds } from '../../../shared/operations/compute/list-jobs.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** SchedulerFailed. */
export async function handleListJobs(
  { allusers, account, name, time_window: window }: InputOf<typeof listJobs>,
  { scheduler, host, jobs, log }: OperationContext,
): Promise<ResultOf<typeof listJobs>> {
  const windowSeconds = timeWindowSeconds[window];
  const wanted = { isAllUsers: allusers, account, name, windowSeconds };
  const list = await jobs.share(['list', wanted], (signal) => scheduler.list(host, { ...wanted, signal }));
  if (!list.isComplete) log.warn('the accounting did not answer; the list holds no jobs that left the queue');
  if (list.omittedJobs > 0) log.warn({ omittedJobs: list.omittedJobs }, 'the list of jobs was cut');
  return list;
}
