/** What a job asks for, as options of sbatch(1); they count over the directives of the script. */
import type { JobResources } from '../../../shared/operations/compute/job-resources.ts';

/** Name and value of each option; null is left out. The comment is not among them: it carries the job's key. */
export function resourceOptions(job: JobResources): [string, string | null][] {
  return [
    ['--nodes', count(job.nodes)],
    ['--ntasks', count(job.tasks)],
    ['--ntasks-per-node', count(job.tasksPerNode)],
    ['--cpus-per-task', count(job.cpusPerTask)],
    ['--mem', kibibytes(job.memoryPerNodeBytes)],
    ['--mem-per-cpu', kibibytes(job.memoryPerCpuBytes)],
    ['--gpus', count(job.gpus)],
    ['--gpus-per-node', count(job.gpusPerNode)],
    ['--gpus-per-task', count(job.gpusPerTask)],
    ['--time', job.timeLimitSeconds === null ? null : slurmDuration(job.timeLimitSeconds)],
    ['--exclusive', job.exclusive ? 'exclusive' : null],
    ['--array', job.array],
    ['--dependency', job.dependency],
    ['--begin', job.beginAt === null ? null : slurmTime(job.beginAt)],
    ['--qos', job.qos],
    ['--licenses', job.licenses],
    ['--mail-type', job.mailType === null ? null : job.mailType.join(',').toUpperCase() || 'NONE'],
    ['--mail-user', job.mailUser],
  ];
}

/** `minutes:seconds`; Slurm rounds up to whole minutes. */
export function slurmDuration(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Seconds since the epoch in a form that needs no time zone; not in the manual pages, but read since Slurm 2.6. */
export function slurmTime(epochSeconds: number): string {
  return `uts${epochSeconds}`;
}

function count(value: number | null): string | null {
  return value === null ? null : String(value);
}

function kibibytes(bytes: number | null): string | null {
  return bytes === null ? null : `${Math.ceil(bytes / 1024)}K`;
}
