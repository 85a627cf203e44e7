/**
 * No batch system: supervised process groups on the host itself, for workstations, small labs and the demo. Jobs start at
 * once, or in the order of their submission where the system has a number of slots; account, partition, reservation and
 * constraints choose nothing. Needs Linux with a POSIX sh, `setsid`, `flock` (for slots) and /proc, and a host whose user
 * processes outlive their login (no `KillUserProcesses`).
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { type Job, scriptBytesMax } from '../../../shared/operations/compute/job.ts';
import { defaultProcessJobs, type ProcessJobsConfig } from '../../../shared/platform/config/process-jobs.ts';
import type { RunOptions, RunResult } from '../../ssh/remote-shell.ts';
import { checkBatchScript } from '../batch-script.ts';
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
import { cancelProgram, holdProgram, modifyProgram } from './change-programs.ts';
import { parseHost } from './host-facts.ts';
import { type JobMeta, noPartition, parseProcessJobs, parseProcessMeta, parseProcessMetadata } from './process-job.ts';
import { findProgram, hostProgram, metadataProgram, pingProgram, showProgram, submitProgram } from './programs.ts';
import {
  admitResources,
  hostFailed,
  invalid,
  isProcessJobId,
  limitOf,
  readSubmission,
  submitArguments,
} from './submit-process.ts';

const outputBytesMax = 64 * 1024;

/** About 700 bytes a job with the longest of usual names; 1,100 jobs at most. */
const listBytesMax = 16 * 1024 * 1024;

/** `timeoutMs` bounds each command on the host; it has nothing to do with how long a job runs. */
export function createProcessScheduler({
  timeoutMs,
  processJobs: limits = defaultProcessJobs,
}: {
  timeoutMs: number;
  processJobs?: ProcessJobsConfig;
}): SchedulerAdapter {
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
    if (result.exitCode !== 0) throw hostFailed(result);
    return result.stdout.toString();
  };

  const show = async (host: SchedulerHost, jobIds: readonly string[], signal: AbortSignal): Promise<Job[]> => {
    const output = await query(host, showProgram, jobIds, signal, listBytesMax);
    return parseProcessJobs(output, host.username);
  };

  const get = async (host: SchedulerHost, { jobId, signal }: JobRequest): Promise<Job> => {
    const [job] = isProcessJobId(jobId) ? await show(host, [jobId], signal) : [];
    if (!job) throw notFound();
    return job;
  };

  const change = async (
    host: SchedulerHost,
    program: string,
    [jobId, ...args]: readonly [string, ...string[]],
    signal: AbortSignal,
  ): Promise<string> => {
    const word = isProcessJobId(jobId) ? (await query(host, program, [jobId, ...args], signal)).trim() : 'absent';
    if (word === 'absent') throw notFound();
    return word;
  };

  return {
    async submit(host, { job, key, signal, intended }: SubmitRequest) {
      const script = job.scriptPath === undefined ? (job.script ?? '') : undefined;
      if (script !== undefined) checkBatchScript(script);
      const args = submitArguments(job, key, script, limits);
      await intended;
      signal.throwIfAborted();
      const options: RunOptions = script === undefined ? { signal } : { signal, stdin: script };
      const result = await run(host, submitProgram, args, options).catch(doubtUnlessUnsent);
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
    get: async (host, request) => [await get(host, request)],
    async lookUp(host, { jobIds, signal }) {
      const known = jobIds.filter(isProcessJobId);
      const jobs = known.length === 0 ? [] : await show(host, known, signal);
      return new Map(jobs.map((job) => [job.jobId, [job]]));
    },
    // Nothing is accounted for but the time.
    usage: async () => null,
    async list(host, request): Promise<JobList> {
      const { account, name, windowSeconds, signal } = request;
      const windowStart = Date.now() / 1_000 - windowSeconds;
      const jobs = (await show(host, [], signal))
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
      const output = isProcessJobId(jobId)
        ? await query(host, metadataProgram, args, signal, scriptBytesMax + outputBytesMax)
        : 'absent\n';
      const metadata = parseProcessMetadata(output, jobId);
      if (!metadata) throw notFound();
      return [metadata];
    },
    // A process that is started later would not be of the job: it would not end with it.
    attach: notSupported('Jobs of this system cannot be attached to; it has no batch system.'),
    async cancel(host, { jobId, signal }) {
      await change(host, cancelProgram, [jobId], signal);
    },
    async hold(host, { jobId, signal }) {
      requireDone(await change(host, holdProgram, [jobId, 'hold'], signal), jobId);
    },
    async release(host, { jobId, signal }) {
      const word = await change(host, holdProgram, [jobId, 'release'], signal);
      if (word !== 'running') requireDone(word, jobId); // one that runs has no hold
    },
    async modify(host, { jobId, changes, signal }) {
      refuseFields(changes, ['qos', 'priority']);
      if (changes.partition !== null) throw invalid('partition', 'cannot be changed: this system has one');
      const limit = changes.timeLimitSeconds === null ? '' : String(limitOf(changes.timeLimitSeconds, limits));
      const [, kept = ''] = /^meta (.*)$/m.exec(await change(host, showProgram, [jobId], signal)) ?? [];
      if (kept === '') throw notFound();
      const meta = parseProcessMeta(kept);
      const next: JobMeta = { ...meta, name: changes.name ?? meta.name, account: changes.account ?? meta.account };
      const begin = changes.beginAt === null ? '' : String(changes.beginAt);
      const args: [string, ...string[]] = [jobId, JSON.stringify(next), limit, begin];
      requireDone(await change(host, modifyProgram, args, signal), jobId);
    },
    async estimate(host, { job, signal }) {
      if (job.scriptPath === undefined) checkBatchScript(job.script ?? '');
      const { cpus } = admitResources(job, limits);
      const node = parseHost(await query(host, hostProgram, [], signal));
      const most = limits.slots ?? node.cpus;
      if (cpus > most) throw invalid('cpusPerTask', `asks for ${cpus} CPUs, and jobs have ${most} on this system`);
      const isFree = limits.slots === null;
      const startAt = isFree ? Math.max(Math.floor(Date.now() / 1_000), job.beginAt ?? 0) : null;
      const message = isFree ? 'Jobs of this system start at once.' : 'The job starts when its slots are free.';
      return { startAt, nodes: node.name, partition: noPartition, cpus, message };
    },
    async ping(host, signal) {
      await query(host, pingProgram, [String(limits.slots ?? 0)], signal);
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

function notFound(): BrokerError {
  return new BrokerError('JobNotFound', 'Job not found.');
}

/** `word` is what the hold and modify programs print. */
function requireDone(word: string, jobId: string): void {
  if (word === 'ended') throw new BrokerError('JobEnded', `Job ${jobId} has ended.`);
  if (word === 'running') throw new BrokerError('JobNotPending', `Job ${jobId} is not waiting; it runs.`);
}
