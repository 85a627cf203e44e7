/** Jobs by their ids, by `qstat -x`, which shows those that ended too while the server keeps its history of them. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import type { JobRequest, JobUsage, LookUpRequest, SchedulerHost, UsageRequest } from '../scheduler.ts';
import { failed, isUnknownJob, isWithoutHistory, type Run } from './pbs-command.ts';
import { parsePbsJobId, requirePbsJobId, shortJobId } from './pbs-job-id.ts';
import { readPbsDocuments, textOf } from './pbs-json.ts';
import { type PbsJob, readJobs } from './qstat-jobs.ts';

/** The job, or the subjob, or the array as a whole. JobNotFound where the server says so, else SchedulerFailed. */
export async function findJobs(run: Run, host: SchedulerHost, { jobId, signal }: JobRequest): Promise<PbsJob[]> {
  const result = await qstat(run, host, [requirePbsJobId(jobId)], signal);
  if (result.exitCode !== 0 && isUnknownJob(result.stderr.toString())) {
    throw new BrokerError('JobNotFound', 'Job not found.');
  }
  if (result.exitCode !== 0) throw failed('The job could not be read.', result);
  const jobs = readPbsDocuments(result.stdout.toString()).flatMap(readJobs);
  if (jobs.length === 0) throw failed('The scheduler did not answer.', result);
  return jobs;
}

/** As `SchedulerAdapter.lookUp`, in one query. */
export async function lookUpJobs(
  run: Run,
  host: SchedulerHost,
  { jobIds, signal }: LookUpRequest,
): Promise<Map<string, Job[]>> {
  const found = await queryJobs(run, host, jobIds, signal);
  return new Map([...found].map(([jobId, { job }]) => [jobId, [job]]));
}

/** As `SchedulerAdapter.usage`, in one query. */
export async function jobUsage(
  run: Run,
  host: SchedulerHost,
  { jobIds, signal }: UsageRequest,
): Promise<Map<string, JobUsage>> {
  const found = await queryJobs(run, host, jobIds, signal);
  return new Map([...found].map(([jobId, { usage }]) => [jobId, usage]));
}

/** By the ids that were asked for. */
async function queryJobs(
  run: Run,
  host: SchedulerHost,
  jobIds: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, PbsJob>> {
  const asked = jobIds.filter((jobId) => parsePbsJobId(jobId) !== undefined);
  if (asked.length === 0) return new Map();
  const result = await qstat(run, host, asked, signal);
  if (result.exitCode !== 0 && !isOnlyUnknown(result.stderr.toString())) {
    throw failed('The jobs could not be read.', result);
  }
  const [document] = readPbsDocuments(result.stdout.toString());
  if (!document) throw failed('The scheduler did not answer.', result);
  const server = textOf(document, 'pbs_server');
  const known = new Map(readJobs(document).map((found) => [found.job.jobId, found]));
  return new Map(
    asked.flatMap((jobId) => {
      const found = known.get(shortJobId(jobId, server));
      return found ? [[jobId, found] as const] : [];
    }),
  );
}

/** A server without a history refuses `-x`, and knows the jobs that have not ended all the same. */
async function qstat(
  run: Run,
  host: SchedulerHost,
  jobIds: readonly string[],
  signal: AbortSignal,
): Promise<RunResult> {
  const result = await run(host, ['qstat', '-x', '-f', '-F', 'json', ...jobIds], { signal });
  if (result.exitCode === 0 || !isWithoutHistory(result.stderr.toString())) return result;
  return run(host, ['qstat', '-f', '-F', 'json', ...jobIds], { signal });
}

/** Whether nothing went wrong but that PBS does not know some of the jobs, or keeps no history. */
export function isOnlyUnknown(stderr: string): boolean {
  const lines = stderr.split('\n').filter((line) => line !== '');
  return lines.length > 0 && lines.every((line) => isUnknownJob(line) || isWithoutHistory(line));
}
