/** squeue(1): jobs the controller knows, the ended ones of the last MinJobAge seconds included. */
import type { Job } from '../../../shared/operations/compute/job.ts';
import { eachRow, parseRows, type Row, readRows } from './delimited.ts';
import { baseState, isActive } from './job-states.ts';
import { durationSeconds, exitStatus, gpusOf, textOrNull, wholeNumber } from './values.ts';

/** Free text stands last, for the reader's sake only. */
const jobFields = [
  'JobArrayID',
  'State',
  'Reason',
  'exit_code',
  'Cluster',
  'TimeUsed',
  'TimeLimit',
  'SubmitTime',
  'StartTime',
  'EndTime',
  'NumNodes',
  'NumCPUs',
  'tres-alloc',
  'NodeList',
  'Partition',
  'UserName',
  'UserID',
  'GroupName',
  'Account',
  'PriorityLong',
  'Name',
  'WorkDir',
] as const;

const keyFields = ['JobArrayID', 'Comment'] as const;

/** What narrows a list on the cluster already. Values hold no comma, which would make a list of them. */
export interface ListFilter {
  /** Null: every user. */
  username: string | null;
  account: string | null;
  name: string | null;
}

/** One job of the queue. */
export interface QueuedJob {
  job: Job;
  /** Epoch seconds; tells it from an older job with the same id. */
  submittedAt: number | null;
  /** Of the owner; null where a young record of the accounting lacks it. */
  uid: string | null;
}

/** A field with a suffix and no width is printed whole (22.05.8); with a width it is cut. */
function format(fields: readonly string[], delimiter: string): string {
  return `--Format=${fields.map((field) => `${field}:${delimiter}`).join(',')}`;
}

/** Every part of jobs by their digits, with commas between them, whoever's they are; a single unknown one is an error of squeue. Run with `SLURM_TIME_FORMAT=%s`. */
export function buildSqueueJob(bases: string, delimiter: string): string[] {
  return buildSqueueFields(bases, jobFields, delimiter);
}

/** Any fields of every part of job `base` (digits), whoever's it is. */
export function buildSqueueFields(base: string, fields: readonly string[], delimiter: string): string[] {
  return ['squeue', '--noheader', '--all', '--states=all', `--jobs=${base}`, format(fields, delimiter)];
}

/** Everything in the queue that the filter lets through. Run with `SLURM_TIME_FORMAT=%s`. */
export function buildSqueueList({ username, account, name }: ListFilter, delimiter: string): string[] {
  return [
    ...['squeue', '--noheader', '--all', '--states=all'],
    ...(username === null ? [] : [`--user=${username}`]),
    ...(account === null ? [] : [`--account=${account}`]),
    ...(name === null ? [] : [`--name=${name}`]),
    format(jobFields, delimiter),
  ];
}

/** Ids and comments of a user's jobs. */
export function buildSqueueKeys(username: string, delimiter: string): string[] {
  return ['squeue', '--noheader', '--all', '--states=all', `--user=${username}`, format(keyFields, delimiter)];
}

/** Whether squeue's failure means that the controller does not know the id, which is an answer. */
export function isUnknownToSqueue(stderr: string): boolean {
  return /Invalid job id specified/.test(stderr);
}

export function parseSqueueKeys(output: string, delimiter: string): { jobId: string; text: string }[] {
  return parseRows(output, keyFields, delimiter).map((row) => ({ jobId: row.JobArrayID, text: row.Comment }));
}

export function parseSqueueJobs(output: string, delimiter: string): QueuedJob[] {
  return parseRows(output, jobFields, delimiter).map(toQueued);
}

/** The same with pauses, for long lists. */
export async function readSqueueJobs(output: string, delimiter: string): Promise<QueuedJob[]> {
  const jobs: QueuedJob[] = [];
  await eachRow(readRows(output, jobFields, delimiter), (row) => jobs.push(toQueued(row)));
  return jobs;
}

function toQueued(row: Row<(typeof jobFields)[number]>): QueuedJob {
  return { job: toJob(row), submittedAt: wholeNumber(row.SubmitTime), uid: textOrNull(row.UserID) };
}

function toJob(row: Row<(typeof jobFields)[number]>): Job {
  const state = baseState(row.State);
  const isPending = state === 'PENDING';
  return {
    jobId: row.JobArrayID,
    name: row.Name,
    status: {
      state,
      stateReason: textOrNull(row.Reason),
      // squeue prints 0 for a job that has not ended.
      ...exitStatus(isActive(state) ? '' : row.exit_code),
    },
    tasks: null,
    time: {
      submit: wholeNumber(row.SubmitTime),
      elapsed: durationSeconds(row.TimeUsed),
      // For a pending job squeue prints when it expects the start, for an active one when it expects the end.
      start: isPending ? null : wholeNumber(row.StartTime),
      end: isActive(state) ? null : wholeNumber(row.EndTime),
      suspended: null,
      limit: durationSeconds(row.TimeLimit),
    },
    account: textOrNull(row.Account),
    allocationNodes: isPending ? 0 : (wholeNumber(row.NumNodes) ?? 0),
    cpus: wholeNumber(row.NumCPUs),
    gpus: gpusOf(row['tres-alloc']),
    cluster: row.Cluster,
    group: textOrNull(row.GroupName),
    nodes: isPending || row.NodeList === '' ? 'None assigned' : row.NodeList,
    partition: row.Partition,
    killRequestUser: null,
    user: textOrNull(row.UserName),
    workingDirectory: row.WorkDir,
    priority: wholeNumber(row.PriorityLong),
  };
}
