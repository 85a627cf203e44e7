/** The rows of one job, of all its parts, in the queue and in the accounting. */

import type { SchedulerHost } from '../scheduler.ts';
import { newDelimiter } from './delimited.ts';
import { buildSacctJob, isWithoutAccounting, readSacctJobs } from './sacct.ts';
import { failed, type Run } from './slurm-command.ts';
import { isPartOf, parseJobId, type SlurmJobId } from './slurm-job-id.ts';
import { buildSqueueJob, isUnknownToSqueue, parseSqueueJobs, type QueuedJob } from './squeue.ts';

/** Empty where the controller does not know the job; SchedulerFailed where it does not answer. */
export async function queuedJobs(
  run: Run,
  host: SchedulerHost,
  wanted: SlurmJobId,
  signal: AbortSignal,
): Promise<QueuedJob[]> {
  const delimiter = newDelimiter();
  const output = await queueOutput(run, host, buildSqueueJob(wanted.base, delimiter), signal);
  return parseSqueueJobs(output, delimiter).filter(({ job }) => isWanted(job.jobId, wanted));
}

/** What squeue prints about one job; empty for an unknown one. */
export async function queueOutput(
  run: Run,
  host: SchedulerHost,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const result = await run(host, argv, signal);
  if (result.exitCode === 0) return result.stdout.toString();
  if (isUnknownToSqueue(result.stderr.toString())) return '';
  throw failed('The queue of the scheduler could not be read.', result);
}

/** Empty where the accounting does not know the job, or there is none; SchedulerFailed where it does not answer. */
export async function accountedJobs(
  run: Run,
  host: SchedulerHost,
  wanted: SlurmJobId,
  signal: AbortSignal,
): Promise<QueuedJob[]> {
  const rows = await accountedRows(run, host, [wanted.base], signal);
  return rows.filter(({ job }) => isWanted(job.jobId, wanted));
}

/** The records of jobs by their digits, all of them in one command; as above. */
export async function accountedRows(
  run: Run,
  host: SchedulerHost,
  bases: readonly string[],
  signal: AbortSignal,
): Promise<QueuedJob[]> {
  const delimiter = newDelimiter();
  const result = await run(host, buildSacctJob(bases.join(','), delimiter), signal);
  if (result.exitCode === 0) return readSacctJobs(result.stdout.toString(), delimiter);
  if (isWithoutAccounting(result.stderr.toString())) return [];
  throw failed('The accounting of the scheduler could not be read.', result);
}

export function isWanted(jobId: string, wanted: SlurmJobId): boolean {
  const id = parseJobId(jobId);
  return id !== undefined && isPartOf(id, wanted);
}

/** Whether the queue's rows are the whole job: elements of an array that ended long ago leave it while others still run. */
export function isWhole(jobIds: readonly string[], wanted: SlurmJobId): boolean {
  return wanted.indices !== null || jobIds.every((jobId) => parseJobId(jobId)?.indices === null);
}
