/** Jobs by their ids: one, or many in two or three commands. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';
import type { JobRequest, LookUpRequest, SchedulerHost } from '../scheduler.ts';
import { newDelimiter } from './delimited.ts';
import { accountedJobs, accountedRows, isWanted, isWhole, queuedJobs, queueOutput } from './job-rows.ts';
import { isActive } from './job-states.ts';
import { inOrder, mergeJobs } from './merge-jobs.ts';
import { failed, type Run } from './slurm-command.ts';
import { parseJobId, requireJobId, type SlurmJobId } from './slurm-job-id.ts';
import { buildSqueueJob, buildSqueueList, type QueuedJob, readSqueueJobs } from './squeue.ts';

/** See `SchedulerAdapter.get`. */
export async function getJob(run: Run, host: SchedulerHost, { jobId, signal }: JobRequest): Promise<Job[]> {
  const wanted = requireJobId(jobId);
  const queued = () => queuedJobs(run, host, wanted, signal);
  const accounted = () => accountedJobs(run, host, wanted, signal);
  return findJob(wanted, { queued, accounted }, signal);
}

/** Each empty where it knows no such job, and SchedulerFailed where it does not answer. */
export interface JobSources {
  queued(): Promise<QueuedJob[]>;
  accounted(): Promise<QueuedJob[]>;
}

/** Every part of the job, in order; the accounting is asked only where the queue does not say it all. JobNotFound, SchedulerFailed. */
export async function findJob(wanted: SlurmJobId, sources: JobSources, signal: AbortSignal): Promise<Job[]> {
  const queued = await sources.queued();
  if (isEnough(queued, wanted)) return inOrder(queued.map(({ job }) => job));
  const accounted = await sources.accounted().catch((error: unknown) => {
    if (queued.length === 0 || signal.aborted) throw error;
    return []; // The queue's answer stands without the figures of the accounting.
  });
  const jobs = mergeJobs(queued, accounted);
  if (jobs.length === 0) throw new BrokerError('JobNotFound', 'Job not found.');
  return jobs;
}

/** See `SchedulerAdapter.lookUp`. */
export async function lookUpJobs(run: Run, host: SchedulerHost, request: LookUpRequest): Promise<Map<string, Job[]>> {
  const { signal } = request;
  const wanted = new Map(request.jobIds.flatMap((jobId) => entry(jobId)));
  const ids = [...wanted.values()];
  const { rows: queued, isByUser } = await readQueue(run, host, ids, request);
  const records = await readAccounting(
    run,
    host,
    ids.filter((id) => !isEnough(partsOf(queued, id), id)),
    signal,
  );
  // Other people's jobs, and those of which there is no final record yet.
  const isUnclear = ({ base }: SlurmJobId) => isByUser && !queued.has(base) && !records.get(base)?.every(hasEnded);
  await readQueueById(run, host, ids.filter(isUnclear), queued, signal);
  const found = activeJobs(queued, ids);
  for (const [jobId, id] of wanted) {
    const rows = partsOf(queued, id);
    const jobs = isEnough(rows, id) ? jobsOf(rows) : mergeJobs(rows, partsOf(records, id));
    if (jobs.length > 0) found.set(jobId, jobs);
  }
  return found;
}

/**
 * What the queue's rows, by their base, answer by themselves: also of jobs that were not asked for, since whoever asks for
 * several asks for the others next. Of arrays of which elements are asked for, each element.
 */
export function activeJobs(queued: ReadonlyMap<string, QueuedJob[]>, ids: readonly SlurmJobId[]): Map<string, Job[]> {
  const found = new Map<string, Job[]>();
  for (const [base, rows] of queued) {
    if (isEnough(rows, { base, indices: null, component: null })) found.set(base, jobsOf(rows));
  }
  for (const base of new Set(ids.filter(({ indices }) => indices !== null).map((id) => id.base))) {
    for (const [jobId, job] of activeElements(queued.get(base) ?? [])) found.set(jobId, [job]);
  }
  return found;
}

/** Most elements of one array that are answered though nobody asked for them. */
const elementsMax = 10_000;

/** The elements of an array that wait or run, by their ids; those that wait share one row of the queue. */
function* activeElements(rows: readonly QueuedJob[]): Generator<[string, Job]> {
  let left = elementsMax;
  for (const { job } of rows) {
    const id = parseJobId(job.jobId);
    if (!id || !isActive(job.status.state)) continue;
    for (const { first, last } of id.indices ?? []) {
      for (let index = first; index <= last && left > 0; index += 1, left -= 1) yield [`${id.base}_${index}`, job];
    }
  }
}

/** Of rows by their base. */
export function partsOf(rows: ReadonlyMap<string, QueuedJob[]>, id: SlurmJobId): QueuedJob[] {
  return (rows.get(id.base) ?? []).filter(({ job }) => isWanted(job.jobId, id));
}

function hasEnded({ job }: QueuedJob): boolean {
  return !isActive(job.status.state);
}

/** An id that is none is in no answer. */
function entry(jobId: string): [string, SlurmJobId][] {
  const id = parseJobId(jobId);
  return id ? [[jobId, id]] : [];
}

function jobsOf(rows: readonly QueuedJob[]): Job[] {
  return inOrder(rows.map(({ job }) => job));
}

/** Whether the queue alone answers: nothing has ended, and no part has left it. */
function isEnough(queued: readonly QueuedJob[], wanted: SlurmJobId): boolean {
  const isRunning = queued.length > 0 && queued.every(({ job }) => isActive(job.status.state));
  return (
    isRunning &&
    isWhole(
      queued.map(({ job }) => job.jobId),
      wanted,
    )
  );
}

/** Rows of the queue by their base: for one job its own, for more all those of the users who ask. */
async function readQueue(
  run: Run,
  host: SchedulerHost,
  wanted: readonly SlurmJobId[],
  { usernames, signal }: LookUpRequest,
): Promise<{ rows: Map<string, QueuedJob[]>; isByUser: boolean }> {
  const rows = new Map<string, QueuedJob[]>();
  const isMany = new Set(wanted.map(({ base }) => base)).size > 1;
  if (!isMany || usernames.length === 0 || !usernames.every((name) => /^[\w.-]+$/.test(name))) {
    await readQueueById(run, host, wanted, rows, signal);
    return { rows, isByUser: false };
  }
  const delimiter = newDelimiter();
  const filter = { username: usernames.join(','), account: null, name: null };
  const result = await run(host, buildSqueueList(filter, delimiter), signal);
  if (result.exitCode !== 0) throw failed('The queue of the scheduler could not be read.', result);
  group(await readSqueueJobs(result.stdout.toString(), delimiter), rows);
  return { rows, isByUser: true };
}

async function readQueueById(
  run: Run,
  host: SchedulerHost,
  wanted: readonly SlurmJobId[],
  rows: Map<string, QueuedJob[]>,
  signal: AbortSignal,
): Promise<void> {
  const bases = new Set(wanted.map(({ base }) => base));
  if (bases.size === 0) return;
  const delimiter = newDelimiter();
  const output = await queueOutput(run, host, buildSqueueJob([...bases].join(','), delimiter), signal);
  group(await readSqueueJobs(output, delimiter), rows);
}

/** Records by their base; empty where the accounting does not answer: then what is missing has to be asked for by itself. */
async function readAccounting(
  run: Run,
  host: SchedulerHost,
  open: readonly SlurmJobId[],
  signal: AbortSignal,
): Promise<Map<string, QueuedJob[]>> {
  const records = new Map<string, QueuedJob[]>();
  if (open.length === 0) return records;
  const bases = [...new Set(open.map(({ base }) => base))];
  const rows = await accountedRows(run, host, bases, signal).catch((error: unknown) => {
    if (signal.aborted || !(error instanceof BrokerError) || error.code !== 'SchedulerFailed') throw error;
    return [];
  });
  return group(rows, records);
}

/** Puts rows to those of the same base. */
export function group(rows: readonly QueuedJob[], into: Map<string, QueuedJob[]>): Map<string, QueuedJob[]> {
  for (const row of rows) {
    const base = parseJobId(row.job.jobId)?.base ?? '';
    const known = into.get(base);
    if (known) known.push(row);
    else into.set(base, [row]);
  }
  return into;
}
