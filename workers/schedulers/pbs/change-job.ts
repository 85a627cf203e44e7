/** Jobs after their submission: qdel(1B), qhold(1B), qrls(1B), qalter(1B), qmove(1B). */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import { refuseFields } from '../refuse-fields.ts';
import type { JobChanges, JobRequest, ModifyRequest, SchedulerHost } from '../scheduler.ts';
import { findJobs } from './find-jobs.ts';
import { isActive } from './job-states.ts';
import { failed, isUnknownJob, type Run } from './pbs-command.ts';
import { requirePbsJobId } from './pbs-job-id.ts';
import { selectTime, walltime } from './pbs-values.ts';

/** One that has ended, or is about to, is left as it is. JobNotFound, PermissionDenied, SchedulerFailed. */
export async function cancelJob(run: Run, host: SchedulerHost, { jobId, signal }: JobRequest): Promise<void> {
  const result = await run(host, ['qdel', requirePbsJobId(jobId)], { signal });
  const error = result.exitCode === 0 ? undefined : refusalOf(result, jobId);
  if (error && !['JobEnded', 'JobNotPending'].includes(error.code)) throw error;
}

/** JobNotFound, PermissionDenied, JobEnded, JobNotPending, SchedulerFailed. */
export async function holdJob(run: Run, host: SchedulerHost, request: JobRequest): Promise<void> {
  // A hold on a running job is kept by PBS for the case that it is queued again, which is not what is asked for here.
  await requirePending(run, host, request);
  await change(run, host, ['qhold', '-h', 'u', request.jobId], request);
}

/** As holdJob, but for a job that has started: it has no hold to take back. */
export async function releaseJob(run: Run, host: SchedulerHost, request: JobRequest): Promise<void> {
  await requirePending(run, host, request).catch((error: unknown) => {
    if (!(error instanceof BrokerError) || error.code !== 'JobNotPending') throw error;
  });
  await change(run, host, ['qrls', '-h', 'u', request.jobId], request);
}

/** As holdJob, and InvalidJob; NotSupported for `qos`, and for `partition` together with others: moving is a request of its own. */
export async function modifyJob(run: Run, host: SchedulerHost, request: ModifyRequest): Promise<void> {
  const { changes } = request;
  const jobId = requirePbsJobId(request.jobId);
  refuseFields(changes, ['qos']);
  const options = alterOptions(changes);
  if (changes.partition !== null) {
    if (options.length > 0) refuseFields(changes, ['partition'], 'can only be changed by itself on this system');
    return change(run, host, ['qmove', changes.partition, jobId], request);
  }
  return change(run, host, ['qalter', ...options, jobId], request);
}

function alterOptions({ name, account, timeLimitSeconds, beginAt, priority }: JobChanges): string[] {
  const options: [string, string | null][] = [
    ['-N', name],
    ['-P', account],
    ['-l', timeLimitSeconds === null ? null : `walltime=${walltime(timeLimitSeconds)}`],
    ['-a', beginAt === null ? null : selectTime(beginAt * 1_000)],
    ['-p', priority === null ? null : String(priority)],
  ];
  return options.flatMap(([option, value]) => (value === null ? [] : [option, value]));
}

async function change(
  run: Run,
  host: SchedulerHost,
  argv: readonly string[],
  { jobId, signal }: JobRequest,
): Promise<void> {
  const result = await run(host, argv, { signal });
  if (result.exitCode !== 0) throw refusalOf(result, jobId);
}

async function requirePending(run: Run, host: SchedulerHost, request: JobRequest): Promise<void> {
  const [found] = await findJobs(run, host, request);
  const state = found?.job.status.state ?? 'UNKNOWN';
  if (state === 'PENDING') return;
  if (isActive(state)) throw new BrokerError('JobNotPending', `Job ${request.jobId} is not waiting; it is ${state}.`);
  throw new BrokerError('JobEnded', `Job ${request.jobId} has ended; its state is ${state}.`);
}

/**
 * OpenPBS 22.05 on standard error:
 *   qdel: Job has finished 12.pbs
 *   qdel: Request invalid for state of job 12.pbs      (it is about to end)
 *   qdel: Unknown Job Id 9999.pbs
 *   qdel: Unauthorized Request  12.pbs
 *   qalter: Cannot modify attribute while job running  Job_Name
 */
const refusals = [
  [/Job has finished|Request invalid for finished/, 'JobEnded'],
  [/Request invalid for state|while job running|Delete already in progress/, 'JobNotPending'],
  [/Unauthorized Request|Access to queue is denied/, 'PermissionDenied'],
  [
    /: illegal -|Illegal attribute|Unknown (?:queue|resource)|resource limits|exceeds allowable|not enabled/,
    'InvalidJob',
  ],
  [/Invalid Account|would exceed|Maximum number|hook/, 'InvalidJob'],
] as const;

function refusalOf(result: RunResult, jobId: string): BrokerError {
  const stderr = result.stderr.toString().trim();
  if (isUnknownJob(stderr)) return new BrokerError('JobNotFound', 'Job not found');
  const code = refusals.find(([text]) => text.test(stderr))?.[1];
  if (code === undefined) return failed(`The scheduler did not change job ${jobId}.`, result);
  return new BrokerError(code, `Job ${jobId}: ${stderr}`, { detail: { exitCode: result.exitCode, stderr } });
}
