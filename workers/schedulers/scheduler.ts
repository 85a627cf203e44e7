/**
 * What the broker asks of a batch system, whichever it is. An adapter keeps no state of its own: everything it knows
 * is on the cluster, so any worker can go on where another one died.
 */
import type { AttachedRun } from '../../shared/operations/compute/attach.ts';
import type { JobEstimate } from '../../shared/operations/compute/estimate-job.ts';
import type { Job, JobDescription } from '../../shared/operations/compute/job.ts';
import type { JobMetadata } from '../../shared/operations/compute/job-metadata.ts';
import type { Node } from '../../shared/operations/status/nodes.ts';
import type { Partition } from '../../shared/operations/status/partitions.ts';
import type { Reservation } from '../../shared/operations/status/reservations.ts';
import type { Account } from '../../shared/operations/status/userinfo.ts';
import type { ProcessJobsConfig } from '../../shared/platform/config/process-jobs.ts';
import type { RemoteFiles } from '../ssh/remote-files.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';

/** One login node as one user. */
export interface SchedulerHost {
  readonly username: string;
  readonly shell: RemoteShell;
  readonly files: RemoteFiles;
  /** On whose behalf what goes past the shell is asked, for who observes that. */
  readonly origin?: unknown;
  /** Told of each request to the scheduler that goes another way than by the shell. */
  readonly asked?: () => void;
}

export interface SubmitRequest {
  job: JobDescription;
  /**
   * Resolves when the intent to submit is kept. Nothing may be handed over before; where it rejects nothing is, and `submit`
   * rejects with that reason. Absent: it is kept already.
   */
  intended?: Promise<void>;
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

export interface LookUpRequest {
  /** At most 2,000, each once. */
  jobIds: readonly string[];
  /** Who asks. With more than one id all jobs of these users in the queue may be answered too: they are asked for next. */
  usernames: readonly string[];
  signal: AbortSignal;
}

export interface UsageRequest {
  /** At most 2,000, each once. */
  jobIds: readonly string[];
  signal: AbortSignal;
}

/** What a job took of what it had asked for, where that is accounted apart from the job. */
export interface JobUsage {
  /** The job has ended and these are its last figures; the accounting may lag behind the queue. */
  isFinal: boolean;
  /** Of its largest task. */
  memoryUsedBytes: number | null;
  /** Of the whole job. */
  memoryRequestedBytes: number | null;
}

/** What of a job that waits is to be another; null: as it is. At least one is given. */
export interface JobChanges {
  name: string | null;
  account: string | null;
  partition: string | null;
  qos: string | null;
  timeLimitSeconds: number | null;
  /** Seconds since the epoch. */
  beginAt: number | null;
  /** On the scheduler's own scale. */
  priority: number | null;
}

export interface ModifyRequest extends JobRequest {
  changes: JobChanges;
}

export interface EstimateRequest {
  job: JobDescription;
  signal: AbortSignal;
}

export interface ListRequest {
  /** Jobs of every user, as far as the scheduler shows them; else the user's own. */
  isAllUsers: boolean;
  /** Null: any. */
  account: string | null;
  /** The whole name, exactly; null: any. */
  name: string | null;
  /** Jobs that ended longer ago are left out. */
  windowSeconds: number;
  signal: AbortSignal;
}

export interface JobList {
  /** Newest submission first, at most `jobsListedMax`. */
  jobs: Job[];
  /** So many older ones were left out. */
  omittedJobs: number;
  /** False where the records of ended jobs could not be read. */
  isComplete: boolean;
}

/** Most jobs in one list. */
export const jobsListedMax = 10_000;

export interface AttachRequest extends JobRequest {
  /** For `sh -c`. */
  command: string;
}

export interface PartitionsRequest {
  showsHidden: boolean;
  signal: AbortSignal;
}

/** All methods may run concurrently; all but `submit` and `attach` may run twice. */
export interface SchedulerAdapter {
  /**
   * Hands one job to the scheduler. NotSupported, which names the field, for a resource that it does not know. InvalidJob, AccountRequired, SubmitLimit, PermissionDenied and FileNotFound say that there is
   * no job; so do SshUnavailable and SshNoChannel, which are thrown only where nothing was sent. Everything else is
   * SubmissionInDoubt: a job with the key may exist.
   */
  submit(host: SchedulerHost, request: SubmitRequest): Promise<Submission>;
  /** Looks for jobs that carry the key, in every place the scheduler keeps jobs. A failed look is not certain; it throws on abort only. */
  findByKey(host: SchedulerHost, request: FindRequest): Promise<FoundJobs>;
  /** The job, latest first where its id was used again. JobNotFound only when the scheduler says so, else SchedulerFailed. */
  get(host: SchedulerHost, request: JobRequest): Promise<Job[]>;
  /**
   * Many jobs in as few queries as the scheduler allows, by the ids that were asked for; whole, as `get` gives them. An id
   * that the map lacks is one the scheduler does not know, or does not show to this user. SchedulerFailed.
   */
  lookUp(host: SchedulerHost, request: LookUpRequest): Promise<Map<string, Job[]>>;
  /** By the ids that were asked for, in as few queries as there can be; null where this scheduler accounts for nothing beyond `lookUp`. SchedulerFailed. */
  usage(host: SchedulerHost, request: UsageRequest): Promise<Map<string, JobUsage> | null>;
  /** Every job that waits or runs, and those that ended within the window. SchedulerFailed where the queue does not answer. */
  list(host: SchedulerHost, request: ListRequest): Promise<JobList>;
  /** Script and files, an entry for each part of the job. JobNotFound as `get`; what is not known or not shown is null. */
  metadata(host: SchedulerHost, request: JobRequest): Promise<JobMetadata[]>;
  /**
   * Runs a command within a running job and waits for its end, 55 s at most. JobNotFound, JobNotRunning,
   * PermissionDenied, InvalidRequest (an array of which several elements run), NotSupported, CommandTimeout; OutcomeUnknown
   * where the connection broke meanwhile. A command that fails is a result.
   */
  attach(host: SchedulerHost, request: AttachRequest): Promise<AttachedRun>;
  /** Cancels by id; a job that has ended is left as it is. JobNotFound, PermissionDenied, SchedulerFailed. */
  cancel(host: SchedulerHost, request: JobRequest): Promise<void>;
  /** Keeps a waiting job, or all waiting parts of an array, from starting. JobNotFound, PermissionDenied, JobEnded, JobNotPending, NotSupported, SchedulerFailed. */
  hold(host: SchedulerHost, request: JobRequest): Promise<void>;
  /** Takes back a hold; a job that has none, waiting or started, is left as it is. As `hold`, but for JobNotPending. */
  release(host: SchedulerHost, request: JobRequest): Promise<void>;
  /**
   * Changes a job. As `hold`, and InvalidJob for a value that the scheduler refuses; NotSupported names the field that
   * this scheduler cannot change. All changes or none, as far as the scheduler can.
   */
  modify(host: SchedulerHost, request: ModifyRequest): Promise<void>;
  /** When the job would start if it were submitted now; submits nothing. Refuses as `submit` does, never in doubt; NotSupported, SchedulerFailed. */
  estimate(host: SchedulerHost, request: EstimateRequest): Promise<JobEstimate>;
  /** Resolves when the scheduler answers; SchedulerFailed otherwise. */
  ping(host: SchedulerHost, signal: AbortSignal): Promise<void>;
  /** The compute nodes. SchedulerFailed, as the three below. */
  nodes(host: SchedulerHost, signal: AbortSignal): Promise<Node[]>;
  partitions(host: SchedulerHost, request: PartitionsRequest): Promise<Partition[]>;
  reservations(host: SchedulerHost, signal: AbortSignal): Promise<Reservation[]>;
  /** Accounts the user may charge, each once; null where there is no accounting. */
  accounts(host: SchedulerHost, signal: AbortSignal): Promise<Account[] | null>;
}

/** The part of a system's configuration that chooses and tunes its adapter. */
export interface SchedulerSettings {
  scheduler: {
    type: string;
    timeoutMs: number;
    /** `ssh` when left out. */
    connectionMode?: 'ssh' | 'rest' | 'hybrid';
    apiUrl?: string | null;
    apiVersion?: string | null;
    slurmrestd?: { jwtKeyFile: string; caFile: string | null } | null;
    processJobs?: ProcessJobsConfig;
  };
}
