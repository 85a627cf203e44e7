/** The user's jobs, or everybody's: what waits and runs, and what ended within the time window; all, or a page of them. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';
import { type listJobs, sinceSecondsMax, timeWindowSeconds } from '../../../shared/operations/compute/list-jobs.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { pageOfJobs } from './job-page.ts';

type Input = InputOf<typeof listJobs>;

/** InvalidRequest, SchedulerFailed. */
export async function handleListJobs(
  input: Input,
  { scheduler, host, jobs, log }: Pick<OperationContext, 'scheduler' | 'host' | 'jobs' | 'log'>,
): Promise<ResultOf<typeof listJobs>> {
  const { allusers, account, name, user } = input;
  const isAllUsers = allusers || (user !== null && user !== host.username);
  const wanted = { isAllUsers, account, name, windowSeconds: windowSecondsOf(input) };
  // What narrows the answer further is no part of the question: the pages of one list share it.
  const list = await jobs.share(['list', wanted], (signal) => scheduler.list(host, { ...wanted, signal }));
  if (!list.isComplete) log.warn('the accounting did not answer; the list holds no jobs that left the queue');
  if (list.omittedJobs > 0) log.warn({ omittedJobs: list.omittedJobs }, 'the list of jobs was cut');
  const page = pageOfJobs(list.jobs.filter(isWanted(input)), input);
  return { ...page, omittedJobs: list.omittedJobs, isComplete: list.isComplete };
}

/** Whole minutes for a time that the caller gave, so that pages of one list ask the same. */
function windowSecondsOf({ time_window: window, since }: Input): number {
  if (since === null) return timeWindowSeconds[window];
  const back = Math.ceil((Date.now() / 1_000 - since) / 60) * 60;
  if (back <= sinceSecondsMax) return Math.max(timeWindowSeconds[window], back);
  throw new BrokerError('InvalidRequest', 'Invalid request: `since` must be at most 31 days ago.', {
    fields: [{ location: 'query', name: 'since', pointer: 'since', message: 'must be at most 31 days ago' }],
  });
}

function isWanted({ state, partition, user, since, until }: Input): (job: Job) => boolean {
  return (job) =>
    (state === null || state.includes(job.status.state)) &&
    (partition === null || job.partition === partition) &&
    (user === null || job.user === user) &&
    (since === null || (job.time.submit ?? 0) >= since) &&
    (until === null || (job.time.submit ?? 0) < until);
}
