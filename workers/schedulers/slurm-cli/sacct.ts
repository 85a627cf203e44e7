/** sacct(1): jobs the accounting knows. It lags about 4 s behind the controller and costs ten times a squeue. */
import type { Job } from '../../../shared/operations/compute/job.ts';
import { eachRow, parseRows, type Row, readRows } from './delimited.ts';
import { baseState, cancelledBy, isActive } from './job-states.ts';
import type { ListFilter, QueuedJob } from './squeue.ts';
import { durationSeconds, exitStatus, gpusOf, textOrNull, wholeNumber } from './values.ts';

const jobFields = [
  'JobID',
  'State',
  'Reason',
  'ExitCode',
  'Cluster',
  'ElapsedRaw',
  'Suspended',
  'TimelimitRaw',
  'Submit',
  'Start',
  'End',
  'AllocNodes',
  'AllocCPUS',
  'ReqCPUS',
  'AllocTRES',
  'ReqTRES',
  'NodeList',
  'Partition',
  'User',
  'UID',
  'Group',
  'Account',
  'Priority',
  'JobName',
  'WorkDir',
] as const;

/** `Comment` is empty unless the site stores it (AccountingStoreFlags=job_comment); the command line always is there. */
const keyFields = ['JobID', 'Comment', 'SubmitLine'] as const;

type JobRow = Row<(typeof jobFields)[number]>;
type Step = NonNullable<Job['tasks']>[number];

function output(fields: readonly string[], delimiter: string): string[] {
  return ['--noheader', '--parsable', `--delimiter=${delimiter}`, `--format=${fields.join(',')}`];
}

/**
 * Jobs by their digits, with commas between them: array elements, components and steps included, whoever's it is. Without `--duplicates` sacct
 * gives the latest job of an id that was used again. Run with `SLURM_TIME_FORMAT=%s`.
 */
export function buildSacctJob(base: string, delimiter: string): string[] {
  return ['sacct', '--allusers', `--jobs=${base}`, ...output(jobFields, delimiter)];
}

/** Any fields of jobs by their digits, with commas between them, and of their steps. */
export function buildSacctSteps(bases: string, fields: readonly string[], delimiter: string): string[] {
  return ['sacct', '--allusers', `--jobs=${bases}`, ...output(fields, delimiter)];
}

/** Any fields of the parts of job `base` (digits), without its steps. */
export function buildSacctFields(base: string, fields: readonly string[], delimiter: string): string[] {
  return ['sacct', '--allusers', '--allocations', `--jobs=${base}`, ...output(fields, delimiter)];
}

/**
 * Jobs that waited, ran or ended within the last `windowSeconds`, steps included, as far as the filter lets them through.
 * Run with `SLURM_TIME_FORMAT=%s`.
 */
export function buildSacctList(
  { username, account, name }: ListFilter,
  windowSeconds: number,
  delimiter: string,
): string[] {
  return [
    'sacct',
    username === null ? '--allusers' : `--user=${username}`,
    ...(account === null ? [] : [`--accounts=${account}`]),
    ...(name === null ? [] : [`--name=${name}`]),
    `--starttime=now-${Math.ceil(windowSeconds)}seconds`,
    ...output(jobFields, delimiter),
  ];
}

/** Ids, comments and command lines of a user's jobs of the last minutes. */
export function buildSacctKeys(username: string, windowMinutes: number, delimiter: string): string[] {
  const start = `--starttime=now-${Math.ceil(windowMinutes)}minutes`;
  return ['sacct', '--allocations', `--user=${username}`, start, ...output(keyFields, delimiter)];
}

/** Whether sacct failed because the site keeps no accounting, which is an answer: it knows no job. */
export function isWithoutAccounting(stderr: string): boolean {
  return /accounting storage is disabled/i.test(stderr);
}

export function parseSacctKeys(text: string, delimiter: string): { jobId: string; text: string }[] {
  return parseRows(text, keyFields, delimiter).map((row) => ({
    jobId: row.JobID,
    text: `${row.Comment} ${row.SubmitLine}`,
  }));
}

/** Jobs with their steps as `tasks`, in sacct's order; read with pauses. */
export async function readSacctJobs(text: string, delimiter: string): Promise<QueuedJob[]> {
  const collected = collectJobs();
  await eachRow(readRows(text, jobFields, delimiter), collected.take);
  return collected.jobs();
}

function collectJobs(): { take: (row: JobRow) => void; jobs: () => QueuedJob[] } {
  const jobs = new Map<string, QueuedJob & { steps: Step[] }>();
  return {
    take(row) {
      const [id = '', step] = splitStep(row.JobID);
      if (step === undefined) {
        const submittedAt = wholeNumber(row.Submit);
        jobs.set(id, { job: toJob(row), submittedAt, uid: textOrNull(row.UID), steps: [] });
      } else {
        // A step without its job would be a row of another query: leave it out.
        jobs.get(id)?.steps.push({ id: row.JobID, name: row.JobName, status: status(row), time: time(row, null) });
      }
    },
    jobs: () => [...jobs.values()].map(({ job, steps, ...known }) => ({ job: { ...job, tasks: steps }, ...known })),
  };
}

/** `123_4.batch` → `123_4`, `batch`. */
function splitStep(id: string): [string, string?] {
  const at = id.indexOf('.');
  return at === -1 ? [id] : [id.slice(0, at), id.slice(at + 1)];
}

function status(row: JobRow): Job['status'] {
  return { state: baseState(row.State), stateReason: textOrNull(row.Reason), ...exitStatus(row.ExitCode) };
}

function time(row: JobRow, limit: number | null): Step['time'] {
  return {
    elapsed: wholeNumber(row.ElapsedRaw),
    start: wholeNumber(row.Start),
    end: isActive(baseState(row.State)) ? null : wholeNumber(row.End),
    suspended: durationSeconds(row.Suspended),
    limit,
  };
}

function toJob(row: JobRow): Job {
  // A uid; the name is known where users cancel their own jobs.
  const killer = cancelledBy(row.State);
  const limitMinutes = wholeNumber(row.TimelimitRaw);
  return {
    jobId: row.JobID,
    name: row.JobName,
    status: status(row),
    tasks: null,
    time: { ...time(row, limitMinutes === null ? null : limitMinutes * 60), submit: wholeNumber(row.Submit) },
    account: textOrNull(row.Account),
    allocationNodes: wholeNumber(row.AllocNodes) ?? 0,
    // Nothing is allocated before the start.
    cpus: wholeNumber(row.AllocCPUS) || wholeNumber(row.ReqCPUS),
    gpus: gpusOf(row.AllocTRES === '' ? row.ReqTRES : row.AllocTRES),
    cluster: row.Cluster,
    group: textOrNull(row.Group),
    nodes: row.NodeList === '' ? 'None assigned' : row.NodeList,
    partition: row.Partition,
    killRequestUser: killer !== null && killer === row.UID ? row.User : killer,
    user: textOrNull(row.User),
    workingDirectory: row.WorkDir,
    priority: wholeNumber(row.Priority),
  };
}
