/**
 * The qsub command line (qsub(1B)) and what it prints. The script goes in on standard input or by its path, so `#PBS`
 * lines count. The broker's key is a variable of the job, `GOLDCREST_KEY`: the only text of the submitter's that every
 * version keeps with the job, shows in qstat and takes at submission beside the name.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../../shared/operations/compute/job.ts';
import { wholeScriptCheck } from '../whole-script.ts';
import { directiveVariables } from './directive-variables.ts';
import { shortJobId } from './pbs-job-id.ts';
import { resourceOptions } from './qsub-resources.ts';

export interface QsubCommand {
  argv: string[];
  env: Readonly<Record<string, string>>;
  /** The inline script; empty where the job has a path. */
  stdin: string;
}

/** Name of the variable that carries the key. */
export const keyVariable = 'GOLDCREST_KEY';

/**
 * argv and standard input that submit `job` with `key`; `script` is the script or its head. InvalidJob for what PBS has
 * no word for, or would take for something else.
 */
export function buildQsub(job: JobDescription, script: string, key: string): QsubCommand {
  refuseUnknown(job);
  const stdin = job.scriptPath === undefined ? (job.script ?? '') : '';
  const ownVariables = directiveVariables(script);
  const variables = [
    ...(ownVariables === undefined || ownVariables === '' ? [] : [ownVariables]),
    ...Object.entries(job.env).map(([name, value]) => `${name}=${quoted(name, value)}`),
    `${keyVariable}=${key}`,
  ];
  const wanted: [string, string | null][] = [
    ['-N', job.name],
    ['-P', job.account],
    ['-q', job.partition ?? job.reservation],
    ['-o', filePath('standardOutput', job.standardOutput)],
    ['-e', filePath('standardError', job.standardError)],
    ['-v', variables.join(',')],
  ];
  const qsub = [
    'qsub',
    // Without it qsub leaves a copy of itself behind to speed up later ones, with the environment of this one.
    '-f',
    ...wanted.flatMap(([option, value]) => (value === null ? [] : [option, value])),
    ...resourceOptions(job),
    ...(job.scriptPath === undefined ? [] : [job.scriptPath]),
  ];
  // The time of `-a` is read in the zone of the command; without one the job keeps the user's own `PBS_O_TZ`.
  const env = job.beginAt === null ? {} : { TZ: 'UTC0' };
  return { argv: [...wholeScriptCheck(stdin), ...qsub], env, stdin };
}

/**
 * A value as `-v` reads it: within single quotes all is literal but the quote itself, which goes between double ones.
 * The server drops white space at the end of a value.
 */
function quoted(name: string, value: string): string {
  if (name.startsWith('PBS_O_')) throw invalid(`env.${name}: PBS sets the variables PBS_O_* itself. Rename it.`);
  if (/\s$/.test(value)) {
    throw invalid(`env.${name}: PBS drops white space at the end of a value. Remove it, or set it in the script.`);
  }
  return `'${value.replaceAll("'", `'"'"'`)}'`;
}

function refuseUnknown(job: JobDescription): void {
  if (job.standardInput !== null && job.standardInput !== '/dev/null') {
    throw invalid('standardInput: PBS has no standard input for batch jobs. Redirect it in the script.');
  }
  if (job.constraints !== null) {
    throw invalid('constraints: PBS knows none. Ask for resources in the script: #PBS -l select=1:ncpus=4');
  }
  if (job.partition !== null && job.reservation !== null) {
    throw invalid('reservation: a reservation of PBS is a queue of its own. Send it without a partition.');
  }
}

/** `host:path` is another host's file to PBS. */
function filePath(field: string, path: string | null): string | null {
  if (path?.includes(':')) {
    throw invalid(`${field}: PBS takes what stands before a colon for a host. Choose a name without one.`);
  }
  return path;
}

/** The id in the output of qsub, `123.server`, `123[].server`; SubmissionInDoubt for anything else: a job may exist. */
export function parseQsub(output: string): string {
  const [, id] = /^(\d{1,12}(?:\[\])?\.[A-Za-z0-9][A-Za-z0-9.-]*)$/m.exec(output.trimEnd()) ?? [];
  if (id !== undefined) return shortJobId(id, null);
  throw new BrokerError('SubmissionInDoubt', 'The scheduler did not answer with a job id.', { detail: { output } });
}

function invalid(message: string): BrokerError {
  return new BrokerError('InvalidJob', message);
}
