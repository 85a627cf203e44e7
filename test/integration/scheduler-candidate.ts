/** A scheduler adapter under test: who it is exercised as, what it lacks, and what every test of it needs. */
import { randomUUID } from 'node:crypto';
import { expect, vi } from 'vitest';
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Job, JobDescription } from '../../shared/operations/compute/job.ts';
import { noResources } from '../../shared/operations/compute/job-resources.ts';
import { jobKey } from '../../workers/schedulers/job-key.ts';
import type { JobList, ListRequest, SchedulerAdapter, SchedulerHost } from '../../workers/schedulers/scheduler.ts';

/** One adapter and the user it is exercised as. */
export interface Candidate {
  adapter: SchedulerAdapter;
  host: SchedulerHost;
  /** A directory of the user's, absolute, on the cluster. */
  directory: string;
}

/** What an adapter cannot give because its scheduler has no such thing; each has a test of its own in the adapter's file. */
export interface Traits {
  /** Names that a job may have. */
  jobNames: readonly string[];
  /** `standardInput`, `%j` in file names, the script in the metadata, one file for both outputs by default. */
  hasJobFiles: boolean;
  /** Put into a script to be in the working directory; empty where it starts there. */
  enter: string;
  /** What the scheduler cannot do; it must say so then. Nothing, when left out. */
  lacks?: readonly ('change' | 'rename' | 'estimate' | 'metadata')[];
  /** A scripted host knows neither its own size nor the time at which a job may start. */
  isScripted?: true;
}

export const fullTraits: Traits = {
  jobNames: ['plain', 'a, b', "it's | $(id)", 'say "hi"; $(id) `id`', '-leading', 'grün %j', 'back\\slash \\n'],
  hasJobFiles: true,
  enter: '',
};

const active = ['PENDING', 'RUNNING', 'SUSPENDED'];
export const noSignal = new AbortController().signal;

/** A job description with the defaults that the contract fills in. */
export function describeJob(directory: string, script: string, more: Partial<JobDescription> = {}): JobDescription {
  return {
    name: null,
    account: null,
    reservation: null,
    partition: null,
    workingDirectory: directory,
    standardInput: null,
    standardOutput: null,
    standardError: null,
    env: {},
    constraints: null,
    script,
    scriptPath: undefined,
    ...noResources,
    ...more,
  };
}

/** A key that no other job has. */
export function newKey(): string {
  return jobKey(randomUUID());
}

/** Resolves with the job when it has ended; at most 30 s. */
export async function jobEnd({ adapter, host }: Candidate, jobId: string): Promise<Job> {
  return vi.waitFor(
    async () => {
      const [job] = await adapter.get(host, { jobId, signal: noSignal });
      expect(active).not.toContain(job?.status.state);
      return job as Job;
    },
    { timeout: 30_000, interval: 250 },
  );
}

/** Resolves with the job when it runs; at most 30 s. */
export async function jobRunning({ adapter, host }: Candidate, jobId: string): Promise<Job> {
  return vi.waitFor(
    async () => {
      const [job] = await adapter.get(host, { jobId, signal: noSignal });
      expect(job?.status.state).toBe('RUNNING');
      return job as Job;
    },
    { timeout: 30_000, interval: 250 },
  );
}

/** The error that a promise must end with. */
export async function failure(promise: Promise<unknown>): Promise<BrokerError> {
  return promise.then(
    () => expect.unreachable('should have been refused'),
    (error: BrokerError) => error,
  );
}

/** Submits a script and resolves with the id of its job. */
export async function submitAs(
  { adapter, host, directory }: Candidate,
  script: string,
  more: Partial<JobDescription> = {},
  key = newKey(),
): Promise<string> {
  const { jobId } = await adapter.submit(host, { job: describeJob(directory, script, more), key, signal: noSignal });
  return jobId;
}

/** The user's own jobs of the last hour, or what is asked for. */
export function listOf({ adapter, host }: Candidate, more: Partial<ListRequest> = {}): Promise<JobList> {
  const all = { isAllUsers: false, account: null, name: null, windowSeconds: 3_600 };
  return adapter.list(host, { ...all, signal: noSignal, ...more });
}
