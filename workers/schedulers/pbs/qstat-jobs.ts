/**
 * What `qstat -x -f -F json` shows of jobs. OpenPBS 22.05.11:
 *   {
 *       "timestamp":1750053827,
 *       "pbs_version":"22.05.11",
 *       "pbs_server":"pbs",
 *       "Jobs":{
 *           "157.pbs":{
 *               "Job_Name":"hold",
 *               "Job_Owner":"alice@login1",
 *               "job_state":"H",
 *               "ctime":"Fri Aug 20 23:14:08 2021",
 *               "Output_Path":"login1:/home/alice/hold.o157", …
 */
import type { Job } from '../../../shared/operations/compute/job.ts';
import type { JobMetadata } from '../../../shared/operations/compute/job-metadata.ts';
import type { JobUsage } from '../scheduler.ts';
import { baseState, exitStatusOf, isActive } from './job-states.ts';
import { parsePbsJobId, shortJobId } from './pbs-job-id.ts';
import { objectOf, type PbsObject, textOf } from './pbs-json.ts';
import { durationSeconds, epochSeconds, sizeBytes, wholeNumber } from './pbs-values.ts';
import { keyVariable } from './qsub.ts';

export interface PbsJob {
  job: Job;
  metadata: JobMetadata;
  /** Of the broker that submitted it; null for another's job, and where the variables are not shown. */
  key: string | null;
  usage: JobUsage;
}

/** The jobs of a document; none where it holds none. */
export function readJobs(document: PbsObject): PbsJob[] {
  const server = textOf(document, 'pbs_server');
  const now = wholeNumber(textOf(document, 'timestamp'));
  return [...objectOf(document, 'Jobs')].flatMap(([id, attributes]) =>
    attributes instanceof Map ? [readJob(shortJobId(id, server), attributes, now)] : [],
  );
}

function readJob(jobId: string, attributes: PbsObject, now: number | null): PbsJob {
  const variables = objectOf(attributes, 'Variable_List');
  const job = jobOf(jobId, attributes, now);
  return {
    job,
    usage: {
      isFinal: !isActive(job.status.state),
      memoryUsedBytes: sizeBytes(textOf(objectOf(attributes, 'resources_used'), 'mem')),
      memoryRequestedBytes: sizeBytes(textOf(objectOf(attributes, 'Resource_List'), 'mem')),
    },
    metadata: metadataOf(jobId, attributes),
    key: textOf(variables, keyVariable),
  };
}

function jobOf(jobId: string, attributes: PbsObject, now: number | null): Job {
  const text = (name: string) => textOf(attributes, name);
  const exitStatus = wholeNumber(text('Exit_status'));
  const used = durationSeconds(textOf(objectOf(attributes, 'resources_used'), 'walltime'));
  const wanted = objectOf(attributes, 'Resource_List');
  const limit = durationSeconds(textOf(wanted, 'walltime'));
  const state = baseState({
    letter: text('job_state') ?? '',
    substate: wholeNumber(text('substate')),
    exitStatus,
    usedSeconds: used,
    limitSeconds: limit,
  });
  const [owner = null] = text('Job_Owner')?.split('@') ?? [];
  const nodes = nodeNames(text('exec_host'));
  const time = timesOf(attributes, { state, used, now });
  return {
    jobId,
    name: text('Job_Name') ?? '',
    status: {
      state,
      stateReason: ['RUNNING', 'COMPLETED'].includes(state) ? null : (text('comment') ?? null),
      ...exitStatusOf(isActive(state) ? null : exitStatus),
    },
    tasks: null,
    time: { submit: epochSeconds(text('ctime')), ...time, suspended: null, limit },
    account: accountOf(text('project')),
    allocationNodes: nodes.length,
    cpus: wholeNumber(textOf(wanted, 'ncpus')),
    gpus: wholeNumber(textOf(wanted, 'ngpus')),
    cluster: text('server') ?? '',
    group: null,
    nodes: nodes.length === 0 ? 'None assigned' : nodes.join(','),
    partition: text('queue') ?? '',
    killRequestUser: null,
    user: owner,
    workingDirectory: textOf(objectOf(attributes, 'Variable_List'), 'PBS_O_WORKDIR') ?? text('jobdir') ?? '',
    priority: wholeNumber(text('Priority')),
  };
}

/** A job that never ran has neither start nor elapsed time, but it has an end. */
function timesOf(
  attributes: PbsObject,
  { state, used, now }: { state: string; used: number | null; now: number | null },
): { elapsed: number | null; start: number | null; end: number | null } {
  const at = (name: string) => epochSeconds(textOf(attributes, name));
  const start = at('stime');
  if (isActive(state)) {
    const elapsed = start === null || now === null ? null : Math.max(0, now - start);
    return { start, end: null, elapsed: used ?? elapsed };
  }
  // In the order of exactness; the first is there from OpenPBS 20 on, the second while the job is kept as history.
  const end = at('obittime') ?? at('history_timestamp') ?? at('mtime');
  const between = start === null || end === null ? null : Math.max(0, end - start);
  return { start, end, elapsed: used ?? between };
}

/** What PBS calls the project of jobs that name none is no account. */
function accountOf(project: string | null): string | null {
  return project === '_pbs_project_default' ? null : project;
}

/** The hosts in `n024/0*2+n021/0*2`, each once. */
function nodeNames(execHost: string | null): string[] {
  const names = (execHost ?? '').split('+').map((chunk) => chunk.split('/')[0] ?? '');
  return [...new Set(names.filter((name) => name !== ''))];
}

/** PBS shows nobody the script of a job, and gives batch jobs no file as standard input. */
function metadataOf(jobId: string, attributes: PbsObject): JobMetadata {
  const output = localPath(textOf(attributes, 'Output_Path'), jobId);
  const error = localPath(textOf(attributes, 'Error_Path'), jobId);
  const join = textOf(attributes, 'Join_Path');
  return {
    jobId,
    script: null,
    standardInput: null,
    standardOutput: join === 'eo' ? error : output,
    standardError: join === 'oe' ? output : error,
  };
}

/** The path of `login1:/home/alice/x.o^array_index^`, where it is known. */
function localPath(path: string | null, jobId: string): string | null {
  const index = parsePbsJobId(jobId)?.index;
  const local = path?.replace(/^[^/:]*:/, '') ?? null;
  return typeof index === 'number' ? (local?.replaceAll('^array_index^', String(index)) ?? null) : local;
}
