/** The jobs of queue and accounting as slurmrestd tells them. */

import { isWanted } from '../slurm-cli/job-rows.ts';
import { isWithoutAccounting } from '../slurm-cli/sacct.ts';
import type { SlurmJobId } from '../slurm-cli/slurm-job-id.ts';
import type { QueuedJob } from '../slurm-cli/squeue.ts';
import { type RestAccountedJob, restAccountedJob } from './accounted-job.ts';
import { failed, isNothing, readAs, requireAnswer, wordsOf } from './answers.ts';
import type { Dialect } from './dialects.ts';
import { type RestQueuedJob, restQueuedJob } from './queue-job.ts';
import type { Rest, RestAnswer } from './rest-client.ts';

/** One user of one slurmrestd, and how to speak to it. */
export interface Session {
  rest: Rest;
  dialect: Dialect;
  username: string;
  signal: AbortSignal;
}

const queueFailed = 'The queue of the scheduler could not be read.';
const accountingFailed = 'The accounting of the scheduler could not be read.';

/** Every part of the job that the controller knows; empty where it knows none. SchedulerFailed. */
export async function queuedJobs(session: Session, wanted: SlurmJobId): Promise<RestQueuedJob[]> {
  const jobs: RestQueuedJob[] = [];
  await queue(session, `job/${wanted.base}`, (job) => {
    if (isWanted(job.job.jobId, wanted)) jobs.push(job);
  });
  return jobs;
}

/** Everybody's jobs in the queue, one at a time: there is no filter. SchedulerFailed. */
export async function eachQueuedJob(session: Session, take: (job: RestQueuedJob) => void): Promise<void> {
  await queue(session, 'jobs', take);
}

async function queue(session: Session, path: string, take: (job: RestQueuedJob) => void): Promise<void> {
  const { rest, dialect, username, signal } = session;
  const schema = restQueuedJob(Date.now() / 1_000);
  const answer = await rest({
    method: 'GET',
    path: `/slurm/v${dialect.version}/${path}`,
    username,
    signal,
    each: { member: 'jobs', take: (element) => take(readAs(schema, element)) },
  });
  requireAnswer(answer, queueFailed);
}

/** Every part of the job in the accounting; empty where it knows none, or there is no accounting. SchedulerFailed. */
export async function accountedJobs(session: Session, wanted: SlurmJobId): Promise<RestAccountedJob[]> {
  const jobs: RestAccountedJob[] = [];
  await accounting(session, `job/${wanted.base}`, (job) => {
    if (isWanted(job.job.jobId, wanted)) jobs.push(job);
  });
  return latest(jobs);
}

export interface AccountedFilter {
  /** Null: everybody's. */
  username: string | null;
  account: string | null;
  windowSeconds: number;
}

/** The jobs that waited, ran or ended within the window, as far as the filter lets them through. SchedulerFailed. */
export async function listAccountedJobs(session: Session, filter: AccountedFilter): Promise<RestAccountedJob[]> {
  const { username, account, windowSeconds } = filter;
  const { hasUserFilter, startTime } = session.dialect;
  const seconds = Math.ceil(windowSeconds);
  const query = new URLSearchParams({
    start_time: startTime === 'epoch' ? String(Math.floor(Date.now() / 1_000) - seconds) : `now-${seconds}seconds`,
    ...(account === null ? {} : { account }),
    ...(hasUserFilter && username !== null ? { users: username } : {}),
  });
  const jobs: RestAccountedJob[] = [];
  await accounting(session, `jobs?${query}`, (job) => {
    if (username === null || job.job.user === username) jobs.push(job);
  });
  return latest(jobs);
}

async function accounting(session: Session, path: string, take: (job: RestAccountedJob) => void): Promise<void> {
  const { rest, dialect, username, signal } = session;
  const answer = await rest({
    method: 'GET',
    path: `/slurmdb/v${dialect.version}/${path}`,
    username,
    signal,
    each: { member: 'jobs', take: (element) => take(readAs(restAccountedJob, element)) },
  });
  requireAccounting(answer);
}

function requireAccounting(answer: RestAnswer): void {
  if (isNothing(answer) || isWithoutAccounting(wordsOf(answer))) return;
  if (answer.status === 404) throw failed('slurmrestd gives no access to the accounting.', answer);
  requireAnswer(answer, accountingFailed);
}

/** The latest job of each id: one that was requeued, or whose id was used again, is there several times. */
function latest<Row extends QueuedJob>(jobs: readonly Row[]): Row[] {
  const sorted = jobs.toSorted((a, b) => (a.submittedAt ?? 0) - (b.submittedAt ?? 0));
  return [...new Map(sorted.map((row) => [row.job.jobId, row])).values()];
}
