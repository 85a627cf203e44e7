/** Slurm by its commands on a login node (sbatch, squeue, sacct, scancel, scontrol), as the user. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { isErrorCode } from '../../../shared/errors/catalogue.ts';
import { checkBatchScript } from '../batch-script.ts';
import { containsKey, lowestFirst } from '../job-key.ts';
import type {
  FindRequest,
  FoundJobs,
  JobRequest,
  SchedulerAdapter,
  SchedulerHost,
  SubmitRequest,
} from '../scheduler.ts';
import { doubtUnlessUnsent } from '../submission-doubt.ts';
import { attachToJob } from './attach.ts';
import { holdJob, modifyJob, releaseJob } from './change-job.ts';
import { newDelimiter } from './delimited.ts';
import { directiveComment } from './directive-comment.ts';
import { estimateJob } from './estimate.ts';
import { getJob, lookUpJobs } from './get-job.ts';
import { jobMetadata } from './job-metadata.ts';
import { accountedJobs } from './job-rows.ts';
import { scriptText } from './job-script.ts';
import { listJobs } from './list-jobs.ts';
import { buildSacctKeys, isWithoutAccounting, parseSacctKeys } from './sacct.ts';
import { listAccounts } from './sacctmgr.ts';
import { buildSbatch, isSbatchAnswer, parseSbatch } from './sbatch.ts';
import { explainSbatchFailure } from './sbatch-refusal.ts';
import { buildScancel, readScancel } from './scancel.ts';
import { buildPing, isUp } from './scontrol-ping.ts';
import { listPartitions, listReservations } from './scontrol-show.ts';
import { listNodes } from './sinfo.ts';
import { createRun, failed, type Run } from './slurm-command.ts';
import { parseJobId, requireJobId } from './slurm-job-id.ts';
import { buildSqueueKeys, parseSqueueKeys } from './squeue.ts';
import { jobUsage } from './usage.ts';

/** sacct is asked from this much before the intent on, for clocks that differ. */
const clockSkewMinutes = 5;

/**
 * `timeoutMs` bounds each command; with the controller down every one takes some 10 s to fail. Every argument is a
 * value of its own, never text in a shell line.
 */
export function createSlurmCli({ timeoutMs }: { timeoutMs: number }): SchedulerAdapter {
  const run = createRun(timeoutMs);

  return {
    async submit(host, request) {
      const { job, intended = Promise.resolve(), signal } = request;
      const { argv, env, stdin, readsInput } = buildSbatch(job, await commentOf(host, request));
      // sbatch takes longer to start than the intent to be kept: it starts at once and waits for its script. Without one
      // (the input ends when the connection or the broker does) it submits nothing.
      if (!readsInput) await intended;
      signal.throwIfAborted();
      const input = intended.then(() => stdin);
      input.catch(() => undefined); // where no command comes to wait for it
      const options = {
        ...{ timeoutMs, signal, env, unsetsLocale: true, isAnswered: isSbatchAnswer, stdin: input },
        usesWaitingShell: true,
      };
      const result = await host.shell.run(argv, options).catch(async (error) => {
        await intended;
        return doubtUnlessUnsent(error);
      });
      if (!result.isEarly && result.exitCode !== 0)
        throw explainSbatchFailure({ ...result, stderr: result.stderr.toString() });
      return { jobId: parseSbatch(result.stdout.toString()) };
    },
    findByKey: (host, request) => findByKey(run, host, request),
    get: (host, request) => getJob(run, host, request),
    lookUp: (host, request) => lookUpJobs(run, host, request),
    usage: (host, request) => jobUsage(run, host, request),
    list: (host, request) => listJobs(run, host, request),
    metadata: (host, request) => jobMetadata(run, host, request),
    attach: (host, request) => attachToJob(run, host, request),
    cancel: (host, request) => cancelJob(run, host, request),
    hold: (host, request) => holdJob(run, host, request),
    release: (host, request) => releaseJob(run, host, request),
    modify: (host, request) => modifyJob(run, host, request),
    estimate: (host, request) => estimateJob(timeoutMs, host, request),
    async ping(host, signal) {
      const result = await run(host, buildPing(), signal);
      if (!isUp(result.stdout.toString())) throw failed('The scheduler does not answer.', result);
    },
    nodes: (host, signal) => listNodes(run, host, signal),
    partitions: (host, request) => listPartitions(run, host, request),
    reservations: (host, signal) => listReservations(run, host, signal),
    accounts: (host, signal) => listAccounts(run, host, signal),
  };
}

/** The user's own comment, if the script asks for one, and the key. */
async function commentOf(
  host: SchedulerHost,
  { job, key, signal }: Pick<SubmitRequest, 'job' | 'key' | 'signal'>,
): Promise<string> {
  const script = await scriptText(host, job, signal);
  checkBatchScript(script);
  const comment = job.comment ?? directiveComment(script);
  return comment === undefined || comment === '' ? key : `${comment} ${key}`;
}

async function findByKey(run: Run, host: SchedulerHost, request: FindRequest): Promise<FoundJobs> {
  const { key, signal } = request;
  const delimiter = newDelimiter();
  const windowMinutes = Math.max(0, Date.now() - request.submittedAfter) / 60_000 + clockSkewMinutes;
  const sources = [
    { argv: buildSqueueKeys(host.username, delimiter), parse: parseSqueueKeys },
    { argv: buildSacctKeys(host.username, windowMinutes, delimiter), parse: parseSacctKeys },
  ];
  // The queue first: a job that leaves it while we look is in the accounting by then.
  const found = new Set<string>();
  let isCertain = true;
  for (const { argv, parse } of sources) {
    const rows = await lookUp(run, host, argv, signal).then((output) => output && parse(output.text, delimiter));
    if (rows === undefined) isCertain = false;
    for (const row of rows ?? []) {
      const id = parseJobId(row.jobId);
      if (id && containsKey(row.text, key)) found.add(id.base);
    }
  }
  return { jobIds: lowestFirst(found), isCertain };
}

/** Undefined for a look that did not answer well. Without accounting the queue alone is the answer. */
async function lookUp(
  run: Run,
  host: SchedulerHost,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<{ text: string } | undefined> {
  try {
    const { exitCode, stdout, stderr } = await run(host, argv, signal);
    if (exitCode === 0) return { text: stdout.toString() };
    return isWithoutAccounting(stderr.toString()) ? { text: '' } : undefined;
  } catch (error) {
    // A command that failed is the uncertainty that the caller asks about.
    if (signal.aborted || !(error instanceof BrokerError) || !isErrorCode(error.code)) throw error;
    return undefined;
  }
}

async function cancelJob(run: Run, host: SchedulerHost, { jobId, signal }: JobRequest): Promise<void> {
  const wanted = requireJobId(jobId);
  const result = await run(host, buildScancel(jobId), signal);
  const stderr = result.stderr.toString();
  switch (readScancel(result.exitCode, stderr)) {
    case 'canceled':
    case 'ended':
      return;
    case 'denied':
      throw new BrokerError('PermissionDenied', `${reason(stderr)}: permission denied`, { detail: { stderr } });
    case 'unknown':
      // A job that left the controller's memory has ended; one that nobody knows has not been.
      if ((await accountedJobs(run, host, wanted, signal)).length > 0) return;
      throw new BrokerError('JobNotFound', 'Job not found');
    case 'failed':
      throw failed('The scheduler did not cancel the job.', result);
  }
}

function reason(stderr: string): string {
  return /error: (.*)/.exec(stderr)?.[1] ?? 'scancel';
}
