/** The jobs of a user, or of all: the live queue, and what ended lately by the accounting. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { type JobList, jobsListedMax, type ListRequest, type SchedulerHost } from '../scheduler.ts';
import { newDelimiter } from './delimited.ts';
import { isActive } from './job-states.ts';
import { mergeRows, partNumber } from './merge-jobs.ts';
import { buildSacctList, isWithoutAccounting, readSacctJobs } from './sacct.ts';
import { failed, type Run } from './slurm-command.ts';
import { parseJobId } from './slurm-job-id.ts';
import { buildSqueueList, type ListFilter, type QueuedJob, readSqueueJobs } from './squeue.ts';

/** SchedulerFailed where the queue does not answer: without it jobs that wait would be missing. */
export async function listJobs(run: Run, host: SchedulerHost, request: ListRequest): Promise<JobList> {
  const { name, signal } = request;
  const filter: ListFilter = {
    username: request.isAllUsers ? null : host.username,
    account: request.account,
    // Only what the commands read as one word; any other name is looked for here.
    name: name !== null && /^[\w.+:@=-]+$/.test(name) ? name : null,
  };
  const [queued, accounted] = await Promise.all([
    queuedList(run, host, filter, signal),
    accountedList(run, host, filter, request).catch(nothingWhenFailed),
  ]);
  return composeList(queued, accounted, request);
}

/** The list out of both; `accounted` is undefined where the accounting did not answer. */
export function composeList(
  queued: readonly QueuedJob[],
  accounted: readonly QueuedJob[] | undefined,
  { name, windowSeconds }: Pick<ListRequest, 'name' | 'windowSeconds'>,
): JobList {
  const windowStart = Date.now() / 1_000 - windowSeconds;
  const rows = mergeRows(queued, accounted ?? [])
    .filter(({ job }) => name === null || job.name === name)
    .filter(({ job }) => isActive(job.status.state) || (job.time.end ?? windowStart) >= windowStart)
    .sort(newestFirst);
  return {
    jobs: rows.slice(0, jobsListedMax).map(({ job }) => job),
    omittedJobs: Math.max(0, rows.length - jobsListedMax),
    isComplete: accounted !== undefined,
  };
}

async function queuedList(
  run: Run,
  host: SchedulerHost,
  filter: ListFilter,
  signal: AbortSignal,
): Promise<QueuedJob[]> {
  const delimiter = newDelimiter();
  const result = await run(host, buildSqueueList(filter, delimiter), signal);
  if (result.exitCode !== 0) throw failed('The queue of the scheduler could not be read.', result);
  return readSqueueJobs(result.stdout.toString(), delimiter);
}

async function accountedList(
  run: Run,
  host: SchedulerHost,
  filter: ListFilter,
  { windowSeconds, signal }: ListRequest,
): Promise<QueuedJob[]> {
  const delimiter = newDelimiter();
  const result = await run(host, buildSacctList(filter, windowSeconds, delimiter), signal);
  if (result.exitCode === 0) return readSacctJobs(result.stdout.toString(), delimiter);
  if (isWithoutAccounting(result.stderr.toString())) return [];
  throw failed('The accounting of the scheduler could not be read.', result);
}

/** The queue alone still answers what waits and runs; the list then says that it is not complete. */
export function nothingWhenFailed(error: unknown): undefined {
  if (!(error instanceof BrokerError) || error.code !== 'SchedulerFailed') throw error;
}

/** Ids are given out in order; elements of an array, which share one, go by their index. */
function newestFirst(a: QueuedJob, b: QueuedJob): number {
  return (
    (b.submittedAt ?? 0) - (a.submittedAt ?? 0) ||
    baseNumber(b) - baseNumber(a) ||
    partNumber(a.job) - partNumber(b.job)
  );
}

function baseNumber({ job }: QueuedJob): number {
  return Number(parseJobId(job.jobId)?.base ?? 0);
}
