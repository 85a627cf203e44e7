/** Holding, releasing and changing jobs: scontrol(1) hold, release and update. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import type { JobChanges, JobRequest, ModifyRequest, SchedulerHost } from '../scheduler.ts';
import { accountedJobs, queuedJobs } from './job-rows.ts';
import { slurmDuration, slurmTime } from './resource-options.ts';
import { unanswered } from './sbatch-refusal.ts';
import { failed, type Run } from './slurm-command.ts';
import { requireJobId } from './slurm-job-id.ts';

/** See `SchedulerAdapter.hold`. */
export async function holdJob(run: Run, host: SchedulerHost, request: JobRequest): Promise<void> {
  const wanted = requireJobId(request.jobId);
  // scontrol takes a running job too, which changes nothing for it.
  const parts = await queuedJobs(run, host, wanted, request.signal);
  const states = new Set(parts.map(({ job }) => job.status.state));
  if (!states.has('PENDING') && ['RUNNING', 'SUSPENDED'].some((state) => states.has(state))) {
    throw new BrokerError('JobNotPending', `Job ${request.jobId} has started; only a job that waits can be held.`);
  }
  await change(run, host, request, ['scontrol', 'hold', request.jobId]);
}

/** See `SchedulerAdapter.release`. */
export async function releaseJob(run: Run, host: SchedulerHost, request: JobRequest): Promise<void> {
  requireJobId(request.jobId);
  await change(run, host, request, ['scontrol', 'release', request.jobId]);
}

/** See `SchedulerAdapter.modify`. The controller checks all changes before it makes the first. */
export async function modifyJob(run: Run, host: SchedulerHost, request: ModifyRequest): Promise<void> {
  requireJobId(request.jobId);
  await change(run, host, request, buildUpdate(request.jobId, request.changes));
}

/** `Name=value` words, each one argument: scontrol takes the value as it stands. */
export function buildUpdate(jobId: string, changes: JobChanges): string[] {
  const { timeLimitSeconds, beginAt, priority } = changes;
  const wanted: [string, string | null][] = [
    ['JobName', changes.name],
    ['Account', changes.account],
    ['Partition', changes.partition],
    ['QOS', changes.qos],
    ['TimeLimit', timeLimitSeconds === null ? null : slurmDuration(timeLimitSeconds)],
    ['StartTime', beginAt === null ? null : slurmTime(beginAt)],
    ['Priority', priority === null ? null : String(priority)],
  ];
  const words = wanted.flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]));
  return ['scontrol', 'update', `JobId=${jobId}`, ...words];
}

async function change(run: Run, host: SchedulerHost, { jobId, signal }: JobRequest, argv: string[]): Promise<void> {
  const result = await run(host, argv, signal);
  const outcome = readChange(result);
  switch (outcome) {
    case 'done':
      return;
    case 'unknown': {
      // The controller forgets a job some minutes after its end.
      const known = await accountedJobs(run, host, requireJobId(jobId), signal);
      if (known.length === 0) throw new BrokerError('JobNotFound', 'Job not found.');
      throw new BrokerError('JobEnded', `Job ${jobId} has ended.`);
    }
    case 'JobEnded':
      throw new BrokerError('JobEnded', `Job ${jobId} has ended.`);
    case 'failed':
      throw failed('The scheduler did not change the job.', result);
    default: {
      const said = words(result).map((line) => line.replace(/ for job \S+$/, ''));
      throw new BrokerError(outcome, `Job ${jobId} was not changed: ${said.join('; ')}.`, { detail: { said } });
    }
  }
}

const sayings = [
  [/Invalid user id|permission denied/, 'PermissionDenied'],
  [/Invalid job id/, 'unknown'],
  [/Job is no longer pending execution/, 'JobNotPending'],
  [/already finished|already completing or completed/, 'JobEnded'],
] as const;

type ChangeOutcome = 'done' | 'failed' | 'unknown' | 'InvalidJob' | 'PermissionDenied' | 'JobNotPending' | 'JobEnded';

/**
 * Slurm 22.05.8 on standard error; `hold` and `release` add a line that says it again:
 *   Invalid job id specified for job 999999
 *   slurm_suspend error: Invalid job id specified
 *   Access/permission denied for job 2
 *   3_1: Job has already finished
 *   3_2-4: No error
 * Of an array it is done where it is done for some element and the others have ended.
 */
export function readChange(result: RunResult): ChangeOutcome {
  if (result.exitCode === 0) return 'done';
  const said = words(result);
  const text = said.join('\n');
  if (result.exitCode === null || said.length === 0 || unanswered.test(text)) return 'failed';
  const refusals = said.filter((line) => !/: No error$/.test(line));
  const isDoneForSome = refusals.length < said.length;
  if (isDoneForSome && refusals.every((line) => /already finished/.test(line))) return 'done';
  // What is left is about a value: "Invalid partition name specified", "Requested time limit is invalid" …
  return sayings.find(([saying]) => refusals.some((line) => saying.test(line)))?.[1] ?? 'InvalidJob';
}

function words({ stderr, stdout }: RunResult): string[] {
  const lines = `${stderr}\n${stdout}`.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !/^slurm_\w+ error: /.test(line));
}
