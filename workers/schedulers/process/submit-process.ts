/** What a job is to the submit program: its words, and what a host without a batch system can give it. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../../shared/operations/compute/job.ts';
import { type JobResource, jobResourceNames } from '../../../shared/operations/compute/job-resources.ts';
import type { ProcessJobsConfig } from '../../../shared/platform/config/process-jobs.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import { refuseFields } from '../refuse-fields.ts';
import { type JobMeta, noPartition } from './process-job.ts';
import { supervisorProgram } from './supervisor.ts';

const defaultOutput = 'job-%j.out';

/** Exit codes of the submit program after which nothing runs. */
const refused = 65;
const tooMany = 66;
const cannot: ReadonlySet<number | null> = new Set([69, 74]);

const known: readonly JobResource[] = [
  ...([
    'nodes',
    'tasks',
    'tasksPerNode',
    'cpusPerTask',
    'exclusive',
    'timeLimitSeconds',
    'beginAt',
    'comment',
  ] as const),
];
const unknown = jobResourceNames.filter((name) => !known.includes(name));

/** In the order that the submit program reads them. NotSupported for a resource that cannot be honoured, InvalidJob for too much. */
export function submitArguments(
  job: JobDescription,
  key: string,
  script: string | undefined,
  limits: ProcessJobsConfig,
): string[] {
  const { cpus, limitSeconds } = admitResources(job, limits);
  const meta: JobMeta = {
    name: job.name ?? 'job',
    workingDirectory: job.workingDirectory,
    account: job.account,
    partition: job.partition ?? noPartition,
    standardInput: job.standardInput ?? '/dev/null',
    standardOutput: job.standardOutput ?? defaultOutput,
    standardError: job.standardError,
    cpus,
    comment: job.comment,
  };
  return [
    supervisorProgram,
    key,
    JSON.stringify(meta),
    script === undefined ? '-' : String(Buffer.byteLength(script)),
    job.scriptPath ?? '',
    job.workingDirectory,
    meta.standardInput ?? '/dev/null',
    meta.standardOutput ?? defaultOutput,
    meta.standardError ?? '',
    ...[limits.keptPerUserMax, Math.ceil(limits.keepMs / 60_000), limits.openPerUserMax, limits.slots ?? 0].map(String),
    limits.slotsDirectory,
    String(cpus),
    limitSeconds === null ? '' : String(limitSeconds),
    job.beginAt === null ? '' : String(job.beginAt),
    ...Object.entries(job.env).map(([name, value]) => `${name}=${value}`),
  ];
}

/** What the job gets. NotSupported for a resource that cannot be honoured, InvalidJob for one that this host does not have. */
export function admitResources(
  job: JobDescription,
  limits: ProcessJobsConfig,
): { cpus: number; limitSeconds: number | null } {
  // Where nothing is shared out, no job can be kept away; `exclusive: false` is as it is.
  const refused: readonly JobResource[] = limits.slots === null ? [...unknown, 'exclusive'] : unknown;
  refuseFields({ ...job, exclusive: job.exclusive || null }, refused);
  const cpus = cpusOf(job);
  const limitSeconds = limitOf(job.timeLimitSeconds, limits);
  return { cpus: job.exclusive === true ? Math.max(cpus, limits.slots ?? 0) : cpus, limitSeconds };
}

/** The script is started once, whatever it asks for: tasks only count CPUs, as for a batch script everywhere. */
function cpusOf({ nodes, tasks, tasksPerNode, cpusPerTask }: JobDescription): number {
  if (nodes !== null && nodes > 1) throw invalid('nodes', 'must be 1: this system is one host');
  if (tasks !== null && tasksPerNode !== null && tasks !== tasksPerNode) {
    throw invalid('tasksPerNode', 'must be the same as tasks: this system is one host');
  }
  return (tasks ?? tasksPerNode ?? 1) * (cpusPerTask ?? 1);
}

/** Seconds; null for none. InvalidJob for more than the system allows. */
export function limitOf(wanted: number | null, { timeLimitSecondsMax }: ProcessJobsConfig): number | null {
  if (wanted === null || timeLimitSecondsMax === null) return wanted ?? timeLimitSecondsMax;
  if (wanted <= timeLimitSecondsMax) return wanted;
  throw invalid('timeLimitSeconds', `must be at most ${timeLimitSecondsMax} on this system`);
}

/** The id that the submit program printed. InvalidJob, SubmitLimit, SchedulerFailed; else SubmissionInDoubt. */
export function readSubmission(result: RunResult): string {
  const stderr = result.stderr.toString().trim();
  if (result.exitCode === refused) throw new BrokerError('InvalidJob', `The job was refused: ${stderr}`);
  if (result.exitCode === tooMany) throw new BrokerError('SubmitLimit', `The job was refused: ${stderr}`);
  if (cannot.has(result.exitCode)) throw hostFailed(result);
  const jobId = result.stdout.toString().trim();
  if (result.exitCode === 0 && isProcessJobId(jobId)) return jobId;
  throw new BrokerError('SubmissionInDoubt', undefined, { detail: { exitCode: result.exitCode, jobId, stderr } });
}

export function isProcessJobId(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

export function hostFailed({ exitCode, stderr }: RunResult): BrokerError {
  const words = stderr.toString().trim();
  return new BrokerError('SchedulerFailed', `The host could not be asked about its jobs: ${words}`, {
    detail: { exitCode, stderr: words },
  });
}

export function invalid(field: string, words: string): BrokerError {
  return new BrokerError('InvalidJob', `The field ${field} ${words}.`);
}
