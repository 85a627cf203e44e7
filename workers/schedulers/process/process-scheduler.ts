/**
 * No batch system: a supervised process group on the host itself, for workstations, small labs and the demo. Jobs start
 * at once and have no limit but that of their time; account, partition, reservation and constraints choose nothing. Needs Linux with a
 * POSIX sh, `setsid` and /proc, and a host whose user processes outlive their login (no `KillUserProcesses`).
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { type Job, type JobDescription, scriptBytesMax } from '../../../shared/operations/compute/job.ts';
import { type JobResource, jobResourceNames } from '../../../shared/operations/compute/job-resources.ts';
import type { RunOptions, RunResult } from '../../ssh/remote-shell.ts';
import { checkBatchScript } from '../batch-script.ts';
import { lookUpOneByOne } from '../look-up-one-by-one.ts';
import { notSupported } from '../not-supported.ts';
import { refuseFields } from '../refuse-fields.ts';
import {
  type JobList,
  type JobRequest,
  jobsListedMax,
  type SchedulerAdapter,
  type SchedulerHost,
  type SubmitRequest,
} from '../scheduler.ts';
import { doubtUnlessUnsent } from '../submission-doubt.ts';
import { parseHost } from './host-facts.ts';
import { type JobMeta, noPartition, parseProcessJob, parseProcessJobs, parseProcessMetadata } from './process-job.ts';
import {
  cancelProgram,
  findProgram,
  getProgram,
  hostProgram,
  listProgram,
  metadataProgram,
  pingProgram,
  submitProgram,
  supervisorProgram,
} from './programs.ts';

/** Ended jobs that are kept for each user; up to 100 more between two sweeps. */
const jobsKept = 1000;

const outputBytesMax = 64 * 1024;

/** About 700 bytes a job with the longest of usual names; 1,100 jobs at most. */
const listBytesMax = 16 * 1024 * 1024;

const defaultOutput = 'job-%j.out';

/** Exit codes of the submit program after which nothing runs. */
const refused = 65;
const cannot: ReadonlySet<number | null> = new Set([69, 74]);

/** `timeoutMs` bounds each command on the host; it has nothing to do with how long a job runs. */
export function createProcessScheduler({ timeoutMs }: { timeoutMs: number }): SchedulerAdapter {
  const run = (
    host: SchedulerHost,
    program: string,
    args: readonly string[],
    options: RunOptions,
  ): Promise<RunResult> =>
    // LC_ALL=C is for messages; the job is not to inherit it.
    host.shell.run(['sh', '-c', program, 'goldcrest', ...args], {
      unsetsLocale: true,
      timeoutMs,
      outputBytesMax,
      ...options,
    });

  const query = async (
    host: SchedulerHost,
    program: string,
    args: readonly string[],
    signal: AbortSignal,
    bytesMax = outputBytesMax,
  ): Promise<string> => {
    const result = await run(host, program, args, { signal, outputBytesMax: bytesMax });
    if (result.exitCode !== 0) throw failed(result);
    return result.stdout.toString();
  };

  const get = async (host: SchedulerHost, { jobId, signal }: JobRequest): Promise<Job[]> => {
    const output = isJobId(jobId) ? await query(host, getProgram, [jobId], signal) : 'absent\n';
    const job = parseProcessJob(output, jobId, host.username);
    if (!job) throw new BrokerError('JobNotFound', 'Job not found.');
    return [job];
  };

  return {
    async submit(host, { job, key, signal, intended }: SubmitRequest) {
      admitResources(job);
      const script = job.scriptPath === undefined ? (job.script ?? '') : undefined;
      if (script !== undefined) checkBatchScript(script);
      await intended;
      signal.throwIfAborted();
      const options: RunOptions = script === undefined ? { signal } : { signal, stdin: script };
      const result = await run(host, submitProgram, submitArguments(job, key, script), options).catch(
        doubtUnlessUnsent,
      );
      return { jobId: readSubmission(result) };
    },
    async findByKey(host, { key, signal }) {
      try {
        const output = await query(host, findProgram, [key], signal);
        return { jobIds: output.split('\n').filter((line) => line !== ''), isCertain: true };
      } catch (error) {
        if (signal.aborted || !(error instanceof BrokerError)) throw error;
        return { jobIds: [], isCertain: false }; // the failed look is the uncertainty that is asked about
      }
    },
    get,
    async lookUp(host, request) {
      const { jobIds, signal } = request;
      if (jobIds.length === 1) return lookUpOneByOne(get, host, request);
      const wanted = new Set(jobIds);
      const jobs = parseProcessJobs(await query(host, listProgram, [], signal, listBytesMax), host.username);
      return new Map(jobs.filter(({ jobId }) => wanted.has(jobId)).map((job) => [job.jobId, [job]]));
    },
    async list(host, request): Promise<JobList> {
      const { account, name, windowSeconds, signal } = request;
      const output = await query(host, listProgram, [], signal, listBytesMax);
      const windowStart = Date.now() / 1_000 - windowSeconds;
      const jobs = parseProcessJobs(output, host.username)
        .filter((job) => (account ?? job.account) === job.account && (name ?? job.name) === job.name)
        .filter((job) => (job.time.end ?? windowStart) >= windowStart);
      return {
        jobs: jobs.slice(0, jobsListedMax),
        omittedJobs: Math.max(0, jobs.length - jobsListedMax),
        isComplete: true,
      };
    },
    async metadata(host, { jobId, signal }) {
      const args = [jobId, String(scriptBytesMax)];
      const output = isJobId(jobId)
        ? await query(host, metadataProgram, args, signal, scriptBytesMax + outputBytesMax)
        : 'absent\n';
      const metadata = parseProcessMetadata(output, jobId);
      if (!metadata) throw new BrokerError('JobNotFound', 'Job not found.');
      return [metadata];
    },
    async attach() {
      // A process that is started later would not be of the job: it would not end with it.
      throw new BrokerError('NotSupported', 'Jobs of this system cannot be attached to; it has no batch system.');
    },
    async cancel(host, { jobId, signal }) {
      const output = isJobId(jobId) ? await query(host, cancelProgram, [jobId], signal) : 'absent\n';
      if (output === 'absent\n') throw new BrokerError('JobNotFound', 'Job not found');
    },
    hold: notYet,
    release: notYet,
    modify: notYet,
    async estimate(host, { job, signal }) {
      admitResources(job);
      if (job.scriptPath === undefined) checkBatchScript(job.script ?? '');
      const node = parseHost(await query(host, hostProgram, [], signal));
      const cpus = cpusOf(job);
      if (cpus > (node.cpus ?? cpus)) {
        throw new BrokerError(
          'InvalidJob',
          `The job was refused: ${cpus} CPUs are more than the ${node.cpus} that the host has`,
        );
      }
      const startAt = Math.floor(Date.now() / 1_000);
      return { startAt, nodes: node.name, partition: noPartition, cpus, message: 'Jobs of this system start at once.' };
    },
    async ping(host, signal) {
      await query(host, pingProgram, [], signal);
    },
    nodes: async (host, signal) => [parseHost(await query(host, hostProgram, [], signal))],
    async partitions(host, { signal }) {
      const { cpus } = parseHost(await query(host, hostProgram, [], signal));
      return [{ name: noPartition, cpus, totalNodes: 1, partition: 'UP' }];
    },
    reservations: async () => [],
    accounts: async () => [],
  };
}

const notYet = notSupported('Jobs of this system start at once and cannot be changed; it has no batch system.');

/** What means something on one host without queues; it is all that is taken. */
const takenResources: readonly JobResource[] = [
  ...(['nodes', 'tasks', 'tasksPerNode', 'cpusPerTask', 'timeLimitSeconds', 'comment'] as const),
];

/** NotSupported for a resource that means nothing here, InvalidJob for more than one node. */
function admitResources(job: JobDescription): void {
  // No other job is kept away, so `exclusive: false` is as it is.
  const refused = jobResourceNames.filter((name) => !takenResources.includes(name));
  refuseFields({ ...job, exclusive: job.exclusive || null }, refused);
  if ((job.nodes ?? 1) > 1) throw new BrokerError('InvalidJob', 'The job was refused: the system has one node');
}

/** A job starts one process; what it makes of its tasks is its own affair. */
function cpusOf({ tasks, tasksPerNode, cpusPerTask }: JobDescription): number {
  return (tasks ?? tasksPerNode ?? 1) * (cpusPerTask ?? 1);
}

/** In the order that the submit program reads them. */
function submitArguments(job: JobDescription, key: string, script: string | undefined): string[] {
  const meta: JobMeta = {
    name: job.name ?? 'job',
    workingDirectory: job.workingDirectory,
    account: job.account,
    partition: job.partition ?? noPartition,
    standardInput: job.standardInput ?? '/dev/null',
    standardOutput: job.standardOutput ?? defaultOutput,
    standardError: job.standardError,
    timeLimitSeconds: job.timeLimitSeconds,
    cpus: cpusOf(job),
  };
  return [
    supervisorProgram,
    key,
    JSON.stringify(meta),
    script === undefined ? '-' : String(Buffer.byteLength(script)),
    job.scriptPath ?? '',
    job.workingDirectory,
    meta.standardInput ?? '/dev/null',
    meta.standardOutput ?? defaultOutput,
    meta.standardError ?? '',
    String(jobsKept),
    String(job.timeLimitSeconds ?? ''),
    String(cpusOf(job)),
    ...Object.entries(job.env).map(([name, value]) => `${name}=${value}`),
  ];
}

function readSubmission(result: RunResult): string {
  const stderr = result.stderr.toString().trim();
  if (result.exitCode === refused) throw new BrokerError('InvalidJob', `The job was refused: ${stderr}`);
  if (cannot.has(result.exitCode)) throw failed(result);
  const jobId = result.stdout.toString().trim();
  if (result.exitCode === 0 && isJobId(jobId)) return jobId;
  throw new BrokerError('SubmissionInDoubt', undefined, { detail: { exitCode: result.exitCode, jobId, stderr } });
}

function isJobId(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

function failed({ exitCode, stderr }: RunResult): BrokerError {
  const words = stderr.toString().trim();
  return new BrokerError('SchedulerFailed', `The host could not be asked about its jobs: ${words}`, {
    detail: { exitCode, stderr: words },
  });
}
