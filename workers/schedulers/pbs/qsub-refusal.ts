/**
 * Tells a refusal by PBS, after which there is no job, from a failure that leaves it open. Texts from the message table
 * of OpenPBS 20 to 23 (pbs_messages.c) and qsub itself; qsub exits with an error number's low byte, which says nothing.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../../shared/errors/catalogue.ts';
import { truncatedScriptExitCode } from '../whole-script.ts';

const refusals: readonly (readonly [RegExp, ErrorCode])[] = [
  [/Maximum number of jobs|[Ww]ould exceed .*\blimit\b|Array job exceeds server or queue size limit/, 'SubmitLimit'],
  [
    /Unauthorized Request|Access to queue is denied|Access from host not allowed|Bad [UG]ID for job/,
    'PermissionDenied',
  ],
  [/Invalid Account|[Pp]roject .*(?:not|invalid)/, 'InvalidJob'],
  // Said by qsub before anything is sent.
  [
    /qsub: (?:illegal -|directive error|illegally formed|script file:|script not a file|unmatched|Job .*too long)/,
    'InvalidJob',
  ],
  [/^usage: qsub/m, 'InvalidJob'],
  // Said by the server.
  [/Unknown (?:queue|resource|node)|Queue is not enabled|No default queue specified|Queue name too long/, 'InvalidJob'],
  [/Illegal attribute or resource value|Undefined attribute|Cannot set attribute|Incompatible type/, 'InvalidJob'],
  [/Job violates queue and\/or server resource limits|Resource limit exceeds allowable/, 'InvalidJob'],
  [/Job rejected by all possible destinations|Invalid Job Dependency|hook rejected request/, 'InvalidJob'],
  [/Resource invalid in "select"|cannot be used with "?select|Cannot be used with select|Cannot have "/, 'InvalidJob'],
  [/duplicated resource|Duplicate entry|Bad time specification|node\(s\) specification error/, 'InvalidJob'],
  [/jobscript size exceeded|conflicting specification|min_walltime|Mutually exclusive|out of range/, 'InvalidJob'],
];

/** Anything here means that the question never got a clear answer, whatever else was printed. */
const doubts =
  /cannot connect to server|Connection (?:refused|reset|timed)|No route to host|timed out|Failed to recv|Batch protocol error|Broken pipe|Server shutting down|No free connections|connection table full|[Ii]nternal error|System error|End of File/;

/** A site's hook answers with a text of its own: `qsub: <text>`, and nothing else. */
const ownText = /^qsub: (?!.*(?:could not|unable to|cannot|error))/im;

export interface FailedQsub {
  exitCode: number | null;
  stderr: string;
}

/**
 * What a failed qsub means: PBS's own words with InvalidJob, SubmitLimit or PermissionDenied where it refused,
 * SchedulerFailed where the host has no qsub or the script came in part, else SubmissionInDoubt.
 */
export function explainQsubFailure(failed: FailedQsub): BrokerError {
  const stderr = failed.stderr.trim();
  const detail = { exitCode: failed.exitCode, stderr };
  const code = failed.exitCode === null ? undefined : refusalCode(failed.exitCode, stderr);
  if (code === undefined) return new BrokerError('SubmissionInDoubt', undefined, { detail });
  const words = stderr.replace(/^usage: qsub[\s\S]*/m, '').trim() || 'qsub printed how it is used.';
  const message = `Unexpected PBS command response. exit_status:${failed.exitCode} std_err:${words}`;
  return new BrokerError(code, message, { detail });
}

function refusalCode(exitCode: number, stderr: string): ErrorCode | undefined {
  if (exitCode === truncatedScriptExitCode && stderr === '') return 'SchedulerFailed';
  if (exitCode === 127 && /qsub.*(?:No such file|not found)/.test(stderr)) return 'SchedulerFailed';
  // The working directory is entered before qsub is started.
  if (/^sh: (?:line )?\d+: (?:eval: )?cd: /m.test(stderr)) return 'InvalidJob';
  if (doubts.test(stderr)) return undefined;
  const refused = refusals.find(([text]) => text.test(stderr))?.[1];
  return refused ?? (ownText.test(stderr) ? 'InvalidJob' : undefined);
}
