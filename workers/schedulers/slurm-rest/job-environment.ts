/** The environment that a job starts with: what sbatch itself puts there, and over it what the request gives. */
import type { JobDescription } from '../../../shared/operations/compute/job.ts';
import type { Dialect } from './dialects.ts';
import type { Directive } from './directives.ts';

/**
 * Variables that sbatch sets from options (sbatch(1), output environment variables), which scripts read and srun takes
 * for its own options. The others, such as SLURM_NTASKS, are set by the controller.
 */
const variables: Readonly<Record<string, string>> = {
  'cpus-per-gpu': 'SLURM_CPUS_PER_GPU',
  'cpus-per-task': 'SLURM_CPUS_PER_TASK',
  'gpu-bind': 'SLURM_GPU_BIND',
  'gpu-freq': 'SLURM_GPU_FREQ',
  gpus: 'SLURM_GPUS',
  'gpus-per-node': 'SLURM_GPUS_PER_NODE',
  'gpus-per-socket': 'SLURM_GPUS_PER_SOCKET',
  'gpus-per-task': 'SLURM_GPUS_PER_TASK',
  hint: 'SLURM_HINT',
  'mem-per-gpu': 'SLURM_MEM_PER_GPU',
  'ntasks-per-core': 'SLURM_NTASKS_PER_CORE',
  'ntasks-per-gpu': 'SLURM_NTASKS_PER_GPU',
  'ntasks-per-node': 'SLURM_NTASKS_PER_NODE',
  'ntasks-per-socket': 'SLURM_NTASKS_PER_SOCKET',
  'threads-per-core': 'SLURM_THREADS_PER_CORE',
};

/**
 * slurmrestd refuses a job without an environment. `SLURM_GET_USER_ENV` is what `sbatch --export=NONE` sets: the node loads
 * the environment of the user's login, and what is given here counts over it.
 */
export function jobEnvironment(job: JobDescription, options: Iterable<Directive>, { environment }: Dialect): unknown {
  const all: Record<string, string> = { SLURM_GET_USER_ENV: '1', SLURM_SUBMIT_DIR: job.workingDirectory };
  for (const { name, value } of options) {
    const variable = variables[name];
    if (variable !== undefined && value !== null) all[variable] = value;
  }
  Object.assign(all, job.env);
  if (environment === 'map') return all;
  return Object.entries(all).map(([name, value]) => `${name}=${value}`);
}
