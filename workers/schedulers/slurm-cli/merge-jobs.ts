/** One truth out of the queue and the accounting. */
import type { Job } from '../../../shared/operations/compute/job.ts';
import { isActive } from './job-states.ts';
import { parseJobId } from './slurm-job-id.ts';
import type { QueuedJob } from './squeue.ts';

/**
 * The queue decides which jobs there are and whether they have ended; the accounting adds steps and final figures
 * once it has caught up, and everything of jobs that left the queue.
 */
export function mergeJobs(queued: readonly QueuedJob[], accounted: readonly QueuedJob[]): Job[] {
  const records = new Map(accounted.map((record) => [record.job.jobId, record]));
  const listed = new Set(queued.map(({ job }) => job.jobId));
  const merged = queued.map((row) => mergeJob(row, records.get(row.job.jobId)));
  // Elements of an array whose other elements are still queued; what is active here is a pending range, split since.
  const left = accounted.filter(({ job }) => !listed.has(job.jobId) && !isActive(job.status.state));
  return inOrder([...merged, ...(queued.length === 0 ? accounted : left).map(({ job }) => job)]);
}

/** Components and elements by their number; squeue lists them as they come. */
export function inOrder(jobs: readonly Job[]): Job[] {
  return jobs.toSorted((a, b) => partNumber(a) - partNumber(b));
}

function partNumber({ jobId }: Job): number {
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
    // The accounting drops the reason that the controller keeps (`JobLaunchFailure`, `TimeLimit`).
    status: { ...status, stateReason: status.stateReason ?? queued.job.status.stateReason },
    time: { ...time, start: time.start ?? queued.job.time.start, limit: queued.job.time.limit },
    tasks,
    allocationNodes,
    killRequestUser: killRequestUser === queued.uid ? queued.job.user : killRequestUser,
  };
}
