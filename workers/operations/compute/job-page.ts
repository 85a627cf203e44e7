/**
 * A page of a list of jobs, newest submission first. The cursor names the last job of the page before, by submission time
 * and id, so that jobs that come or go meanwhile neither repeat nor hide others.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';

export interface PageRequest {
  /** Null: all. */
  limit: number | null;
  cursor: string | null;
}

export interface JobPage {
  jobs: Job[];
  /** Null where nothing follows. */
  nextCursor: string | null;
}

/** Throws InvalidRequest for a cursor that is none of ours. */
export function pageOfJobs(jobs: readonly Job[], { limit, cursor }: PageRequest): JobPage {
  const start = cursor === null ? 0 : startAfter(jobs, readCursor(cursor));
  const end = limit === null ? jobs.length : start + limit;
  const page = jobs.slice(start, end);
  const last = page.at(-1);
  return { jobs: page, nextCursor: last && end < jobs.length ? writeCursor(last) : null };
}

interface Position {
  submittedAt: number;
  jobId: string;
}

function startAfter(jobs: readonly Job[], { submittedAt, jobId }: Position): number {
  const at = jobs.findIndex((job) => job.jobId === jobId && (job.time.submit ?? 0) === submittedAt);
  if (at !== -1) return at + 1;
  // The job itself is gone: what is older follows.
  const older = jobs.findIndex((job) => (job.time.submit ?? 0) < submittedAt);
  return older === -1 ? jobs.length : older;
}

function writeCursor({ jobId, time }: Job): string {
  return `${time.submit ?? 0}.${jobId}`;
}

function readCursor(cursor: string): Position {
  const match = /^(\d{1,15})\.(.+)$/.exec(cursor);
  if (match?.[1] && match[2]) return { submittedAt: Number(match[1]), jobId: match[2] };
  throw new BrokerError('InvalidRequest', 'Invalid request: `cursor` must be the Next-Cursor of an earlier answer.', {
    fields: [
      { location: 'query', name: 'cursor', pointer: 'cursor', message: 'must be the Next-Cursor of an earlier answer' },
    ],
  });
}
