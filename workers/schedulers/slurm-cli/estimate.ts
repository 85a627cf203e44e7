/** When a job would start: `sbatch --test-only`, which goes through the controller's checks and submits nothing. */
import type { JobEstimate } from '../../../shared/operations/compute/estimate-job.ts';
import { checkBatchScript } from '../batch-script.ts';
import type { EstimateRequest, SchedulerHost } from '../scheduler.ts';
import { scriptText } from './job-script.ts';
import { buildSbatch } from './sbatch.ts';
import { explainTestFailure } from './sbatch-refusal.ts';
import { schedulerTimeout } from './slurm-command.ts';

/** See `SchedulerAdapter.estimate`. */
export async function estimateJob(
  timeoutMs: number,
  host: SchedulerHost,
  { job, signal }: EstimateRequest,
): Promise<JobEstimate> {
  checkBatchScript(await scriptText(host, job, signal));
  const { argv, env, stdin } = buildSbatch(job, job.comment, true);
  const options = { timeoutMs, signal, env: { ...env, SLURM_TIME_FORMAT: '%s' }, unsetsLocale: true, stdin };
  const result = await host.shell.run(argv, options).catch(schedulerTimeout(timeoutMs));
  const stderr = result.stderr.toString();
  if (result.exitCode !== 0) throw explainTestFailure({ ...result, stderr });
  return parseEstimate(stderr);
}

const sentence =
  /^sbatch: Job \d+ to start at (\S+)(?: using (\d+) processors)?(?: on nodes (\S+))?(?: in partition (\S+))?/m;

/**
 * Slurm 22.05.8 with `SLURM_TIME_FORMAT=%s`: `sbatch: Job 8 to start at 1795380559 using 1 processors on nodes n1 in
 * partition debug`. The number is of no job. What is not said is null.
 */
export function parseEstimate(stderr: string): JobEstimate {
  const [, startAt = '', cpus, nodes, partition] = sentence.exec(stderr) ?? [];
  return {
    startAt: /^\d{1,15}$/.test(startAt) ? Number(startAt) : null,
    nodes: nodes ?? null,
    partition: partition ?? null,
    cpus: cpus === undefined ? null : Number(cpus),
    message: stderr.trim(),
  };
}
