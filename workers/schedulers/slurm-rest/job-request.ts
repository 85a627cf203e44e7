/** The body of a submission: the script's own directives, and over them what the request says, as sbatch has it. */
import { posix } from 'node:path';
import type { JobDescription } from '../../../shared/operations/compute/job.ts';
import { resourceOptions } from '../slurm-cli/resource-options.ts';
import type { Dialect } from './dialects.ts';
import { type Directive, NotExpressible, readDirectives } from './directives.ts';
import { jobEnvironment } from './job-environment.ts';
import type { JobFields } from './job-fields.ts';

/**
 * Options that change nothing of the job: what sbatch itself prints or waits for. The environment is not taken from
 * directives either, as the request's own counts over them.
 */
const ignored: ReadonlySet<string> = new Set(
  'export export-file get-user-env ignore-pbs parsable quiet verbose wait'.split(' '),
);

export interface SubmissionParts {
  job: JobDescription;
  /** The whole text. */
  script: string;
  key: string;
}

/** Throws NotExpressible for what REST cannot be told. */
export function buildSubmission({ job, script, key }: SubmissionParts, dialect: Dialect): unknown {
  const written = readDirectives(script).filter(({ name }) => !ignored.has(name));
  const wanted = [...written, ...requestedOptions(job)];
  const comment = job.comment ?? wanted.findLast(({ name }) => name === 'comment')?.value ?? '';
  const counting = lastOf([...defaults(job), ...wanted]);
  const body = {
    ...fieldsOf(counting, dialect),
    comment: comment === '' ? key : `${comment} ${key}`,
    environment: jobEnvironment(job, counting, dialect),
  };
  return dialect.script === 'inside' ? { job: { ...body, script } } : { job: body, script };
}

/** What sbatch fills in by itself. */
function defaults(job: JobDescription): Directive[] {
  return [
    option('job-name', job.scriptPath === undefined ? 'sbatch' : posix.basename(job.scriptPath)),
    option('input', '/dev/null'),
  ];
}

function option(name: string, value: string): Directive {
  return { name, value, line: 0 };
}

function requestedOptions(job: JobDescription): Directive[] {
  const named: [string, string | null][] = [
    ['job-name', job.name],
    ['account', job.account],
    ['partition', job.partition],
    ['reservation', job.reservation],
    ['constraint', job.constraints],
    ['chdir', job.workingDirectory],
    ['input', job.standardInput],
    ['output', job.standardOutput],
    ['error', job.standardError],
  ];
  return [...named, ...resourceOptions(job)].flatMap(([name, value]) =>
    value === null ? [] : [option(name.replace(/^--/, ''), value)],
  );
}

/** Options that shut each other out: the later one counts alone. */
const exclusions: readonly (readonly string[])[] = [
  ['mem', 'mem-per-cpu', 'mem-per-gpu'],
  ['exclusive', 'oversubscribe'],
  ['requeue', 'no-requeue'],
];

/** The options that count: of each the last. */
function lastOf(options: readonly Directive[]): Directive[] {
  const last = new Map<string, Directive>();
  for (const each of options) {
    for (const group of exclusions) {
      if (group.includes(each.name)) for (const other of group) last.delete(other);
    }
    last.set(each.name, each);
  }
  return [...last.values()];
}

function fieldsOf(options: readonly Directive[], dialect: Dialect): JobFields {
  const fields: JobFields = {};
  for (const { name, value, line } of options) {
    const told = Object.hasOwn(dialect.fields, name) ? dialect.fields[name]?.(value ?? '') : undefined;
    if (!told) throw new NotExpressible(line, cannotBeTold(name, value));
    for (const [field, made] of Object.entries(told)) fields[field] = joined(fields[field], made);
  }
  return fields;
}

function cannotBeTold(name: string, value: string | null): string {
  const written = value === null || value === '' ? `--${name}` : `--${name}=${value}`;
  return `the option ${written} cannot be told to slurmrestd of this system; leave it out.`;
}

/** Two options may share a field: flags, and generic resources for each node. */
function joined(before: JobFields[string] | undefined, made: JobFields[string]): JobFields[string] {
  if (Array.isArray(before) && Array.isArray(made)) return [...before, ...made];
  return typeof before === 'string' && typeof made === 'string' ? `${before},${made}` : made;
}
