/**
 * OpenPBS by its commands on a login node (qsub, qstat, qselect, qdel, pbsnodes, pbs_rstat), as the user. A job starts
 * where PBS starts it, in the user's home, with the working directory in `PBS_O_WORKDIR`; its files are there when it has
 * ended. What the server knows of ended jobs it knows for `job_history_duration`, or not at all.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../../shared/operations/compute/job.ts';
import { checkBatchScript } from '../batch-script.ts';
import { lowestFirst } from '../job-key.ts';
import { notSupported } from '../not-supported.ts';
import {
  type FindRequest,
  type FoundJobs,
  type JobList,
  jobsListedMax,
  type ListRequest,
  type SchedulerAdapter,
  type SchedulerHost,
} from '../scheduler.ts';
import { doubtUnlessUnsent } from '../submission-doubt.ts';
import { cancelJob, holdJob, modifyJob, releaseJob } from './change-job.ts';
import { findJobs, jobUsage, lookUpJobs } from './find-jobs.ts';
import { isActive } from './job-states.ts';
import { createRun, failed, queryDocument, type Run } from './pbs-command.ts';
import { parsePbsJobId } from './pbs-job-id.ts';
import { buildRstat, readReservations } from './pbs-rstat.ts';
import { buildPbsnodes, readNodes } from './pbsnodes.ts';
import type { PbsJob } from './qstat-jobs.ts';
import { buildQueues, buildServer, isServerUp, readQueues } from './qstat-queues.ts';
import { buildQsub, parseQsub } from './qsub.ts';
import { explainQsubFailure } from './qsub-refusal.ts';
import { selectJobs, unlessFailed } from './select-jobs.ts';

/** How much of a script file is read for its directives, which stand at its beginning. */
const scriptHeadBytes = 64 * 1024;

/** Jobs are looked for from this much before the intent on, for clocks that differ. */
const clockSkewMs = 5 * 60_000;

/** `timeoutMs` bounds each command. */
export function createPbs({ timeoutMs }: { timeoutMs: number }): SchedulerAdapter {
  const run = createRun(timeoutMs);
  return {
    async submit(host, { job, key, signal, intended }) {
      const script = await scriptText(host, job, signal);
      checkBatchScript(script);
      const { argv, env, stdin } = buildQsub(job, script, key);
      // qsub would submit an empty script where its input ended early.
      await intended;
      signal.throwIfAborted();
      const options = { timeoutMs, signal, env, stdin, cwd: job.workingDirectory, unsetsLocale: true };
      const result = await host.shell.run(argv, options).catch(doubtUnlessUnsent);
      if (result.exitCode !== 0) throw explainQsubFailure({ ...result, stderr: result.stderr.toString() });
      return { jobId: parseQsub(result.stdout.toString()) };
    },
    findByKey: (host, request) => findByKey(run, host, request),
    get: async (host, request) => (await findJobs(run, host, request)).map(({ job }) => job),
    lookUp: (host, request) => lookUpJobs(run, host, request),
    usage: (host, request) => jobUsage(run, host, request),
    list: (host, request) => listJobs(run, host, request),
    metadata: async (host, request) => (await findJobs(run, host, request)).map(({ metadata }) => metadata),
    async attach() {
      const message =
        'Jobs of this system cannot be attached to: PBS lets a user into a running job by its nodes only.';
      throw new BrokerError('NotSupported', message);
    },
    cancel: (host, request) => cancelJob(run, host, request),
    hold: (host, request) => holdJob(run, host, request),
    release: (host, request) => releaseJob(run, host, request),
    modify: (host, request) => modifyJob(run, host, request),
    estimate: notSupported('PBS tells the start of jobs that are in its queue only.'),
    async ping(host, signal) {
      const document = await queryDocument(run, host, buildServer(), signal);
      if (!isServerUp(document)) throw new BrokerError('SchedulerFailed', 'The PBS server takes no requests now.');
    },
    nodes: async (host, signal) => readNodes(await queryDocument(run, host, buildPbsnodes(), signal)),
    partitions: async (host, { signal }) => readQueues(await queryDocument(run, host, buildQueues(), signal)),
    async reservations(host, signal) {
      const result = await run(host, buildRstat(), { signal });
      if (result.exitCode !== 0) throw failed('The reservations could not be read.', result);
      return readReservations(result.stdout.toString());
    },
    accounts: async () => null,
  };
}

/** The inline script, or the head of the file. InvalidJob where qsub could not read the file either. */
async function scriptText(host: SchedulerHost, job: JobDescription, signal: AbortSignal): Promise<string> {
  if (job.scriptPath === undefined) return job.script ?? '';
  try {
    return (await host.files.readRange(job.scriptPath, 0, scriptHeadBytes, { signal })).toString();
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    if (!['FileNotFound', 'PermissionDenied', 'InvalidRequest'].includes(error.code)) throw error;
    throw new BrokerError('InvalidJob', `Unable to open file ${job.scriptPath}`, { cause: error });
  }
}

/** Without a history nothing proves that there is no job: it may have ended already. */
async function findByKey(run: Run, host: SchedulerHost, request: FindRequest): Promise<FoundJobs> {
  const { key, submittedAfter, signal } = request;
  const selection = { username: host.username, since: submittedAfter - clockSkewMs, by: 'created' as const, signal };
  const selected = await unlessFailed(selectJobs(run, host, selection), signal);
  const found = (selected?.jobs ?? []).filter((each) => each.key === key).map(({ job }) => job.jobId);
  return { jobIds: lowestFirst(new Set(found)), isCertain: selected?.hasHistory === true };
}

async function listJobs(run: Run, host: SchedulerHost, request: ListRequest): Promise<JobList> {
  const { account, name, windowSeconds, signal } = request;
  const since = Date.now() - windowSeconds * 1_000;
  const username = request.isAllUsers ? null : host.username;
  const { jobs, hasHistory } = await selectJobs(run, host, { username, since, by: 'changed', signal });
  const wanted = jobs
    .filter(({ job }) => (account ?? job.account) === job.account && (name ?? job.name) === job.name)
    .filter(({ job }) => isActive(job.status.state) || (job.time.end ?? since / 1_000) >= since / 1_000)
    .sort((a, b) => sequence(b) - sequence(a));
  return {
    jobs: wanted.slice(0, jobsListedMax).map(({ job }) => job),
    omittedJobs: Math.max(0, wanted.length - jobsListedMax),
    isComplete: hasHistory,
  };
}

/** Numbers are given out in the order of submission. */
function sequence({ job }: PbsJob): number {
  return parsePbsJobId(job.jobId)?.sequence ?? 0;
}
