/**
 * Tells a refusal by the scheduler, after which there is no job, from a failure that leaves it open. sbatch's exit
 * code cannot: `Socket timed out` exits 1 and the job may run all the same. So only messages that are known to mean
 * "no" count; texts from Slurm 22.05.8's error table and sbatch itself.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../../shared/errors/catalogue.ts';
import { truncatedScriptExitCode } from '../whole-script.ts';

/** Names of accounting limits, which sbatch prints on a line of their own: `sbatch: error: AssocMaxSubmitJobLimit`. */
const limitName = /\b(?:QOS|Assoc)(?:Grp|Max|Min)\w*\b/;

const refusals: readonly (readonly [RegExp, ErrorCode])[] = [
  [/violates accounting\/QOS policy|breached requested QOS usage threshold/, 'SubmitLimit'],
  [/Access\/permission denied|Access denied to requested reservation|group not permitted/, 'PermissionDenied'],
  [/Burst Buffer permission denied|submissions? disabled|Invalid user id|User not found on host/i, 'PermissionDenied'],
  // Said by sbatch before anything is sent.
  [/sbatch: (?:unrecognized|ambiguous|invalid) option|option '\S+' (?:requires|doesn't allow)/, 'InvalidJob'],
  [/Unable to open file|This does not look like a batch script|Batch script (?:is empty|contains)/, 'InvalidJob'],
  [/does not allow scripts that|Pathname of a file, directory or other parameter too long/, 'InvalidJob'],
  [/\bInvalid (?:--\S+|directive|argument|numeric value|node count|time specification|dependency)/i, 'InvalidJob'],
  [/Invalid generic resource \(gres\) specification/, 'InvalidJob'],
  [/\binvalid number of\b|Script arguments not permitted|cli_filter plugin terminated/, 'InvalidJob'],
  // Said by the controller: "Batch job submission failed: …".
  [/submission failed: .*\bInvalid (?!message|authentication|job credential)/, 'InvalidJob'],
  [/submission failed: .*\b(?:specification|count|limit) (?:is )?invalid/, 'InvalidJob'],
  [/submission failed: .*(?:reservation is invalid|reservation not usable now|No partition specified)/, 'InvalidJob'],
  [
    /submission failed: .*(?:not in this partition|more (?:processors|tasks|threads per core) (?:requested )?than)/,
    'InvalidJob',
  ],
  [/submission failed: .*Requested more tasks than available processors/, 'InvalidJob'],
  [/submission failed: .*(?:More processors requested than permitted|Cannot request more threads)/, 'InvalidJob'],
  [/submission failed: .*(?:configuration is not available|partition configuration not available)/, 'InvalidJob'],
  [/submission failed: .*(?:Memory required by task is not available|Job size specification needs)/, 'InvalidJob'],
  [/submission failed: .*(?:Time limit specification required|Environment is missing|Burst Buffer)/, 'InvalidJob'],
  [/submission failed: .*(?:Job dependency problem|Circular job dependency|Only batch jobs)/, 'InvalidJob'],
  [/submission failed: .*(?:not supported on this system|presently disabled|unsupported by configured)/, 'InvalidJob'],
  [/submission failed: .*(?:Required (?:node|partition) not available|Partition in DOWN state)/, 'InvalidJob'],
  [
    /submission failed: .*(?:Multiple partition job|require use of a heterogeneous job|not a valid federated)/i,
    'InvalidJob',
  ],
  // A site's job_submit plug-in says its own text first and then this.
  [/submission failed: Unspecified error/, 'InvalidJob'],
];

/** Anything here means that the question never got a clear answer, whatever else was printed. */
export const unanswered =
  /timed out|Unable to contact|Zero Bytes|[Cc]onnection (?:refused|reset|timed)|shutdown failure|standby mode|sleeping and retrying|Message (?:send|receive) failure|zero length|Unexpected message received|Protocol authentication|Broken pipe/;

export interface FailedCommand {
  exitCode: number | null;
  signalName?: string;
  stderr: string;
}

/**
 * What a failed sbatch means: the scheduler's own words with InvalidJob, SubmitLimit or PermissionDenied where it
 * refused, SchedulerFailed where the host has no sbatch, else SubmissionInDoubt.
 */
export function explainSbatchFailure(failed: FailedCommand): BrokerError {
  const stderr = failed.stderr.trim();
  const message = `Unexpected Slurm command response. exit_status:${failed.exitCode ?? 'none'} std_err:${stderr}`;
  const detail = { exitCode: failed.exitCode, signalName: failed.signalName, stderr };
  const code = failed.exitCode === null ? undefined : refusalCode(failed.exitCode, stderr);
  if (code !== undefined) return new BrokerError(code, message, { detail });
  return new BrokerError('SubmissionInDoubt', undefined, { detail });
}

/**
 * What a failed `sbatch --test-only` means: as above, and never a doubt. Slurm 22.05.8, in place of "Batch job submission
 * failed": `allocation failure: Requested node configuration is not available`.
 */
export function explainTestFailure({ exitCode, stderr }: FailedCommand): BrokerError {
  const words = stderr.trim();
  const code =
    exitCode === null ? undefined : refusalCode(exitCode, words.replace('allocation failure:', 'submission failed:'));
  const message = `Unexpected Slurm command response. exit_status:${exitCode ?? 'none'} std_err:${words}`;
  return new BrokerError(code ?? 'SchedulerFailed', message, { detail: { exitCode, stderr: words } });
}

/** The code of a refusal that is known as one; undefined where it stays open whether there is a job. */
export function refusalCode(exitCode: number, stderr: string): ErrorCode | undefined {
  if (exitCode === truncatedScriptExitCode && stderr === '') return 'SchedulerFailed';
  if (exitCode === 127 && /sbatch.*(?:No such file|not found)/.test(stderr)) return 'SchedulerFailed';
  if (unanswered.test(stderr)) return undefined;
  const refused = refusals.find(([text]) => text.test(stderr))?.[1];
  return refused !== undefined && limitName.test(stderr) ? 'SubmitLimit' : refused;
}
