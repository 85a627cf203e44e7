/**
 * What a job asks for, as options of qsub: `-l select=2:ncpus=8:mpiprocs=4:mem=4194304kb:ngpus=1 -l place=scatter` (PBS User's
 * Guide, "Allocating Resources & Placing Jobs"). With `nodes` each is a chunk of its own host; without, each task is a chunk.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobResource, JobResources } from '../../../shared/operations/compute/job-resources.ts';
import { refuseFields } from '../refuse-fields.ts';
import { selectTime, walltime } from './pbs-values.ts';

/** PBS has no such things, or gives them to a job by other means. */
const unknown: readonly JobResource[] = ['qos', 'licenses', 'comment'];

const mailLetters = { begin: 'b', end: 'e', fail: 'a' } as const;

/** Words for qsub. NotSupported for fields that PBS does not know, InvalidJob for combinations that it cannot express. */
export function resourceOptions(job: JobResources): string[] {
  refuseFields(job, unknown);
  const select = selectOf(job);
  const place = placeOf(job);
  const options: [string, string | null][] = [
    ['-l', select === null ? null : `select=${select}`],
    ['-l', place === null ? null : `place=${place}`],
    ['-l', job.timeLimitSeconds === null ? null : `walltime=${walltime(job.timeLimitSeconds)}`],
    ['-J', arrayRange(job.array)],
    ['-W', job.dependency === null ? null : `depend=${job.dependency}`],
    ['-a', job.beginAt === null ? null : selectTime(job.beginAt * 1_000)],
    ['-m', job.mailType === null ? null : job.mailType.map((event) => mailLetters[event]).join('') || 'n'],
    ['-M', job.mailUser],
  ];
  return options.flatMap(([option, value]) => (value === null ? [] : [option, value]));
}

interface Chunks {
  count: number;
  tasks: number;
}

/** Null where nothing of it is asked for: the script or the queue decides. */
function selectOf(job: JobResources): string | null {
  const sized = [
    job.nodes,
    job.tasks,
    job.tasksPerNode,
    job.cpusPerTask,
    job.memoryPerNodeBytes,
    job.memoryPerCpuBytes,
  ];
  if ([...sized, job.gpus, job.gpusPerNode, job.gpusPerTask].every((value) => value === null)) return null;
  const { count, tasks } = chunksOf(job);
  const cpus = tasks * (job.cpusPerTask ?? 1);
  const memoryBytes = job.memoryPerNodeBytes ?? (job.memoryPerCpuBytes === null ? null : job.memoryPerCpuBytes * cpus);
  const gpus = gpusOf(job, { count, tasks });
  const parts: [string, string | number | null][] = [
    ['ncpus', cpus],
    ['mpiprocs', job.tasks === null && job.tasksPerNode === null ? null : tasks],
    ['mem', memoryBytes === null ? null : `${Math.ceil(memoryBytes / 1024)}kb`],
    ['ngpus', gpus],
  ];
  return `${count}${parts.map(([name, value]) => (value === null ? '' : `:${name}=${value}`)).join('')}`;
}

function chunksOf({ nodes, tasks, tasksPerNode, memoryPerNodeBytes, gpusPerNode }: JobResources): Chunks {
  if (nodes !== null || tasksPerNode !== null) {
    const count = nodes ?? divided('tasks', tasks ?? tasksPerNode ?? 1, tasksPerNode ?? 1, 'tasksPerNode');
    const each = tasksPerNode ?? divided('tasks', tasks ?? count, count, 'nodes');
    if (tasks !== null && each * count !== tasks) throw invalid('tasks', 'must be nodes times tasksPerNode');
    return { count, tasks: each };
  }
  if (tasks !== null && tasks > 1 && (memoryPerNodeBytes !== null || gpusPerNode !== null)) {
    throw invalid('nodes', 'is needed with several tasks and an amount for each node');
  }
  return { count: tasks ?? 1, tasks: 1 };
}

function gpusOf({ gpus, gpusPerNode, gpusPerTask }: JobResources, chunks: Chunks): number | null {
  if (gpusPerNode !== null) return gpusPerNode;
  if (gpusPerTask !== null) return gpusPerTask * chunks.tasks;
  return gpus === null ? null : divided('gpus', gpus, chunks.count, 'the nodes or tasks');
}

function divided(field: string, value: number, by: number, byWhat: string): number {
  if (value % by !== 0) throw invalid(field, `must be a multiple of ${byWhat}: every chunk of a PBS job is alike here`);
  return value / by;
}

function placeOf({ nodes, tasksPerNode, exclusive }: JobResources): string | null {
  const scatter = nodes !== null || tasksPerNode !== null ? 'scatter' : null;
  const sharing = exclusive === null ? null : exclusive ? 'excl' : 'shared';
  return [scatter, sharing].filter((word) => word !== null).join(':') || null;
}

/** PBS has one range: `1-10`, `0-9:3`, and from 2021 on `1-10%2`. */
function arrayRange(array: string | null): string | null {
  if (array !== null && !/^\d+-\d+(?::\d+)?(?:%\d+)?$/.test(array)) {
    throw invalid('array', 'must be one range such as 1-10 or 0-9:3: PBS knows no lists of indices');
  }
  return array;
}

function invalid(field: string, words: string): BrokerError {
  return new BrokerError('InvalidJob', `The field ${field} ${words}.`);
}
