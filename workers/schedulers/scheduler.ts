/**
 * What the broker asks of a batch system, whichever it is. An adapter keeps no state of its own: everything it knows
 * is on the cluster, so any worker can go on where another one died.
 */
import type { Job, JobDescription } from '../../shared/operations/compute/job.ts';
import type { RemoteFiles } from '../ssh/remote-files.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';

/** One login node as one user. */
export interface SchedulerHost {
  readonly username: string;
  readonly shell: RemoteShell;
  readonly files: RemoteFiles;
}

export interface SubmitRequest {
  job: JobDescription;
  /** Carried by the job so that it can be found again: `goldcrest:<task id>`, one word, no quotes. */
  key: string;
  signal: AbortSignal;
}

export interface Submission {
  jobId: string;
}

export interface FindRequest {
  key: string;
  /** Milliseconds since the epoch; jobs submitted before it need not be looked at. */
  submittedAfter: number;
  signal: AbortSignal;
}

export interface FoundJobs {
  /** Lowest id first. */
  jobIds: string[];
  /** Whether every source answered well; an empty list that is not certain says nothing. */
  isCertain: boolean;
}

export interface JobRequest {
  jobId: string;
  signal: AbortSignal;
}

/** All methods may run concurrently; all but `submit` may run twice. */
export interface SchedulerAdapter {
  /**
   * Hands one job to the scheduler. InvalidJob, AccountRequired, SubmitLimit, PermissionDenied and FileNotFound say that there is
   * no job; so do SshUnavailable and SshNoChannel, which are thrown only where nothing was sent. Everything else is
   * SubmissionInDoubt: a job with the key may exist.
   */
  submit(host: SchedulerHost, request: SubmitRequest): Promise<Submission>;
  /** Looks for jobs that carry the key, in every place the scheduler keeps jobs. A failed look is not certain; it throws on abort only. */
  findByKey(host: SchedulerHost, request: FindRequest): Promise<FoundJobs>;
  /** The job, latest first where its id was used again. JobNotFound only when the scheduler says so, else SchedulerFailed. */
  get(host: SchedulerHost, request: JobRequest): Promise<Job[]>;
  /** Cancels by id; a job that has ended is left as it is. JobNotFound, PermissionDenied, SchedulerFailed. */
  cancel(host: SchedulerHost, request: JobRequest): Promise<void>;
  /** Resolves when the scheduler answers; SchedulerFailed otherwise. */
  ping(host: SchedulerHost, signal: AbortSignal): Promise<void>;
}

/** The part of a system's configuration that chooses and tunes its adapter. */
export interface SchedulerSettings {
  scheduler: { type: string; timeoutMs: number };
}
