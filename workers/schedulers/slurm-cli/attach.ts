/**
 * A command inside a running job: `srun --overlap`, which starts a step of the job on its own nodes. The command is one
 * argument from here to the shell on the node; on the login node only srun runs.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { AttachedRun } from '../../../shared/operations/compute/attach.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import type { AttachRequest, SchedulerHost } from '../scheduler.ts';
import { newDelimiter, parseRows } from './delimited.ts';
import { accountedJobs, isWanted, queueOutput } from './job-rows.ts';
import { baseState } from './job-states.ts';
import { failed, type Run } from './slurm-command.ts';
import { requireJobId } from './slurm-job-id.ts';
import { buildSqueueFields } from './squeue.ts';

/** How long a command may run; less than the operation's own time, so that the remote side ends first. */
const commandMsMax = 55_000;

/** Kept of each of the two outputs. */
const outputBytesMax = 32 * 1024;

const partFields = ['JobArrayID', 'JobID', 'State'] as const;

/**
 * `$1` bounds each output in bytes, the rest is the command. What is over is read and dropped: a command is not to end
 * early because it says much. POSIX has no `pipefail`, so its exit code comes by descriptor 5.
 */
const boundedProgram = `n=$1; shift
keep() { head -c "$n"; cat >/dev/null; }
exec 3>&1 4>&2
code=$({ { { "$@" 3>&- 4>&- 5>&-; echo $? >&5; } | keep >&3; } 2>&1 | keep >&4; } 5>&1)
exit "$code"`;

/** See `SchedulerAdapter.attach`. */
export async function attachToJob(run: Run, host: SchedulerHost, request: AttachRequest): Promise<AttachedRun> {
  const rawId = await runningPart(run, host, request);
  const { command, signal } = request;
  signal.throwIfAborted();
  const result = await host.shell
    .run(
      ['env', '-u', 'LC_ALL', 'sh', '-c', boundedProgram, 'sh', String(outputBytesMax + 1), ...srun(rawId, command)],
      {
        timeoutMs: commandMsMax,
        outputBytesMax: 4 * outputBytesMax,
        signal,
      },
    )
    .catch(unknownWhenSent);
  if (result.exitCode !== 0) refuseUnattached(result);
  const { stdout, stderr, exitCode } = result;
  return {
    exitCode,
    stdout: head(stdout),
    stderr: head(stderr),
    isTruncated: stdout.length > outputBytesMax || stderr.length > outputBytesMax,
  };
}

function srun(rawId: string, command: string): string[] {
  return ['srun', `--jobid=${rawId}`, '--overlap', 'sh', '-c', command];
}

/** Slurm's own number of the one part that runs: srun knows no `123_4`, and takes `123` for the array's last element. */
async function runningPart(run: Run, host: SchedulerHost, { jobId, signal }: AttachRequest): Promise<string> {
  const wanted = requireJobId(jobId);
  const delimiter = newDelimiter();
  const output = await queueOutput(run, host, buildSqueueFields(wanted.base, partFields, delimiter), signal);
  const parts = parseRows(output, partFields, delimiter).filter((row) => isWanted(row.JobArrayID, wanted));
  const running = parts.filter((row) => baseState(row.State) === 'RUNNING');
  const [part, ...others] = running;
  if (part && others.length === 0) return part.JobID;
  if (part) {
    const names = running.slice(0, 10).map((row) => row.JobArrayID);
    const message = `Several parts of job ${jobId} are running; name one of them, such as ${names.join(', ')}.`;
    throw new BrokerError('InvalidRequest', message);
  }
  const state = parts[0] && baseState(parts[0].State);
  if (state !== undefined) throw notRunning(`Job ${jobId} is not running; its state is ${state}.`);
  if ((await accountedJobs(run, host, wanted, signal)).length > 0) throw notRunning(`Job ${jobId} has ended.`);
  throw new BrokerError('JobNotFound', 'Job not found.');
}

/**
 * Throws where it was srun that failed, and not the command. Slurm 22.05.8:
 *   srun: error: Unable to confirm allocation for job 3: Job is pending execution
 *   srun: error: Slurm job 7 has expired
 *   srun: Check SLURM_JOB_ID environment variable. Expired or invalid job 7     (after both)
 *   srun: error: Unable to create step for job 8: Access/permission denied
 */
function refuseUnattached(result: RunResult): void {
  const stderr = result.stderr.toString();
  if (/^srun: Check SLURM_JOB_ID environment variable\. Expired or invalid job \d+$/m.test(stderr)) {
    throw notRunning(/^srun: error: (.*)$/m.exec(stderr)?.[1] ?? 'The job is not running.');
  }
  const refusal = /^srun: error: (Unable to create step for job \d+: .*)$/m.exec(stderr)?.[1];
  if (refusal !== undefined && /permission denied/.test(refusal)) {
    throw new BrokerError('PermissionDenied', refusal, { detail: { stderr } });
  }
  const isUnanswered = /^srun: error: .*Unable to contact slurm controller/m.test(stderr);
  if (refusal !== undefined || isUnanswered) throw failed('The scheduler did not start the command.', result);
}

function notRunning(message: string): BrokerError {
  return new BrokerError('JobNotRunning', message);
}

/** A connection that broke after the command was sent leaves it open what the command did. */
function unknownWhenSent(error: unknown): never {
  const isOpen = error instanceof BrokerError && error.code === 'SshUnavailable' && error.detail.sent !== false;
  if (!isOpen) throw error;
  throw new BrokerError('OutcomeUnknown', 'The connection was lost while the command ran.', { cause: error });
}

function head(output: Buffer): string {
  return output.subarray(0, outputBytesMax).toString();
}
