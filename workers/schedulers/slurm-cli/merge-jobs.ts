/** One truth out of the queue and the accounting. */
import type { Job } from '../../../shared/operations/compute/job.ts';
import { isActive } from './job-states.ts';
import { parseJobId } from './slurm-job-id.ts';
import type { QueuedJob } from './squeue.ts';

/** The parts of one job out of both, in order. */
export function mergeJobs(queued: readonly QueuedJob[], accounted: readonly QueuedJob[]): Job[] {
  return inOrder(mergeRows(queued, accounted).map(({ job }) => job));
}

/**
 * The queue decides which jobs there are and whether they have ended; the accounting adds steps and final figures
 * once it has caught up, and everything of jobs that left the queue.
 */
export function mergeRows(queued: readonly QueuedJob[], accounted: readonly QueuedJob[]): QueuedJob[] {
  const records = new Map(accounted.map((record) => [record.job.jobId, record]));
  const listed = new Set(queued.map(({ job }) => job.jobId));
  const bases = new Set(queued.map(({ job }) => parseJobId(job.jobId)?.base));
  const merged = queued.map((row) => ({ ...row, job: mergeJob(row, records.get(row.job.jobId)) }));
  // Of a job that is partly in the queue, what is active here is a pending range of an array, split since.
  const left = accounted.filter(
    ({ job }) => !listed.has(job.jobId) && !(isActive(job.status.state) && bases.has(parseJobId(job.jobId)?.base)),
  );
  return [...merged, ...left];
}

/** Components and elements by their number; squeue lists them as they come. */
export function inOrder<Part extends { jobId: string }>(parts: readonly Part[]): Part[] {
  return parts.toSorted((a, b) => partNumber(a) - partNumber(b));
}

/** The first index of an element or range, or the number of a component; 0 for a whole job. */
export function partNumber({ jobId }: { jobId: string }): number {
  const id = parseJobId(jobId);
  return id?.indices?.[0]?.first ?? Number(id?.component ?? 0);
}

function mergeJob(queued: QueuedJob, record: QueuedJob | undefined): Job {
  const isSame = record !== undefined && record.submittedAt === queued.submittedAt;
  if (!isSame || isActive(queued.job.status.state) || isActive(record.job.status.state)) return queued.job;
  const { status, time, tasks, allocationNodes, killRequestUser } = record.job;
  return {
    // Who and where, from the queue: a young record lacks its directory, and quotes in names are changed there.
    ...queued.job,
    status: {
      state: status.state,
      // The accounting drops the reason that the controller keeps (`JobLaunchFailure`, `TimeLimit`).
      stateReason: status.stateReason ?? queued.job.status.stateReason,
      exitCode: status.exitCode ?? queued.job.status.exitCode,
      interruptSignal: status.interruptSignal ?? queued.job.status.interruptSignal,
    },
    time: { ...time, start: time.start ?? queued.job.time.start, limit: queued.job.time.limit },
    tasks,
    allocationNodes,
    killRequestUser: killRequestUser === queued.uid ? queued.job.user : killRequestUser,
  };
}
