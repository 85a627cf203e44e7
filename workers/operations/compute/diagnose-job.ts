/** A diagnosis on demand: the job as it is now, what was accounted so far, and its last error output. */
import type { diagnoseJob } from '../../../shared/operations/compute/diagnose-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { diagnose } from '../../watches/diagnose.ts';
import { readErrorOutput, withoutLines } from '../../watches/read-error-output.ts';
import { speakingPart } from '../../watches/standing.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, SchedulerFailed. */
export async function handleDiagnoseJob(
  { jobId }: InputOf<typeof diagnoseJob>,
  { jobs: lookups, scheduler, host, pathGate, signal, username }: OperationContext,
): Promise<ResultOf<typeof diagnoseJob>> {
  const { jobs } = await lookups.get(jobId);
  const usages = await scheduler.usage(host, { jobIds: [jobId], signal });
  const part = speakingPart(jobs);
  const isOwn = part?.user === username;
  const hasStarted = part !== undefined && part.time.start !== null;
  const errorOutput =
    isOwn && hasStarted
      ? await readErrorOutput({ scheduler, host, pathGate }, part.jobId, signal)
      : withoutLines(isOwn ? 'The job has not started.' : 'The job is another user’s.');
  return { diagnosis: diagnose({ jobId, jobs, usage: usages === null ? null : usages.get(jobId), errorOutput }) };
}
