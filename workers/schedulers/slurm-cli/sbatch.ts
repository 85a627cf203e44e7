/** The sbatch command line (sbatch(1)) and what it prints. The script goes in on standard input or by its path. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../../shared/operations/compute/job.ts';
import { wholeScriptCheck } from '../whole-script.ts';
import { resourceOptions } from './resource-options.ts';

export interface SbatchCommand {
  argv: string[];
  /** To be added to the environment of argv; the job gets it from there. */
  env: Readonly<Record<string, string>>;
  /** The inline script; empty where the job has a path. */
  stdin: string;
  /** Whether nothing is submitted before the input is there. */
  readsInput: boolean;
}

/**
 * Variables that sbatch itself, the loader or our own wrapping would act on before the job sees them. They travel by
 * `--export-file`, which costs two more processes; all others are set in sbatch's environment, whatever they contain.
 */
const actedOnEarly = /^(?:SBATCH_|SLURM_|LD_|GLIBC_|GCONV_PATH$|PATH$|TZ$|POSIXLY_CORRECT$)/;

/**
 * Standard input is the script, so the environment comes by descriptor 3. `$1` counts the `NAME=value` words that
 * follow; the rest is the command. Later values win over those of the login environment.
 */
const exportFileScript = `n=$1; exec 4<&0
{ shift; env -0; while [ "$n" -gt 0 ]; do printf '%s\\0' "$1"; shift; n=$((n-1)); done; } |
{ shift $((n+1)); exec "$@" 3<&0 <&4 4<&-; }`;

/** argv and standard input that submit `job` with `comment`; with `isTest` nothing is submitted. */
export function buildSbatch(job: JobDescription, comment: string | null, isTest = false): SbatchCommand {
  const variables = Object.entries(job.env);
  const pairs = variables.map(([name, value]) => `${name}=${value}`);
  const byFile = variables.some(([name]) => actedOnEarly.test(name));
  const sbatch = ['sbatch', ...options(job, comment, byFile ? '--export-file=3' : '--export=ALL', isTest)];
  const wrapper = byFile ? ['sh', '-c', exportFileScript, 'sh', String(pairs.length), ...pairs] : [];
  const stdin = job.scriptPath === undefined ? (job.script ?? '') : '';
  const check = wholeScriptCheck(stdin);
  const readsInput = job.scriptPath === undefined;
  // The check is not to act on what is meant for the job, such as TMPDIR.
  const early = check.length > 0 && !byFile ? ['env', ...pairs] : wrapper;
  const env = byFile || check.length > 0 ? {} : job.env;
  return { argv: [...check, ...early, ...sbatch], env, stdin, readsInput };
}

function options(job: JobDescription, comment: string | null, exportOption: string, isTest: boolean): string[] {
  const wanted: [string, string | null][] = [
    ['--job-name', job.name],
    ['--account', job.account],
    ['--partition', job.partition],
    ['--reservation', job.reservation],
    ['--constraint', job.constraints],
    ['--chdir', job.workingDirectory],
    ['--input', job.standardInput],
    ['--output', job.standardOutput],
    ['--error', job.standardError],
    ['--comment', comment],
    ...resourceOptions(job),
  ];
  return [
    isTest ? '--test-only' : '--parsable',
    exportOption,
    ...wanted.flatMap(([option, value]) => (value === null ? [] : [`${option}=${value}`])),
    ...(job.scriptPath === undefined ? [] : ['--', job.scriptPath]),
  ];
}

/** Whether the line with the id is there; sbatch's work is done then, though it may wait on (`--wait`). */
export function isSbatchAnswer(stdout: Buffer): boolean {
  return stdout.includes('\n');
}

/**
 * The id in the output of `sbatch --parsable`, `id` or `id;cluster`; SubmissionInDoubt for anything else, since a job
 * may exist. Messages of plug-ins go to standard error.
 */
export function parseSbatch(output: string): string {
  const match = /^(\d{1,10})(?:;[\w.-]+)?\n?$/.exec(output);
  if (match?.[1]) return match[1];
  throw new BrokerError('SubmissionInDoubt', 'The scheduler did not answer with a job id.', { detail: { output } });
}
