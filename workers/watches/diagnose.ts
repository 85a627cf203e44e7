/** Puts together what became of a job: how the scheduler has it, what the accounting measured, what the job wrote last. */
import type { Job } from '../../shared/operations/compute/job.ts';
import type { JobDiagnosis } from '../../shared/watches/diagnosis.ts';
import type { JobStanding } from '../../shared/watches/watch.ts';
import type { JobUsage } from '../schedulers/scheduler.ts';
import { advise } from './advise.ts';
import { type ErrorOutput, withoutLines } from './read-error-output.ts';
import { hasEnded, speakingPart } from './standing.ts';

export interface Evidence {
  jobId: string;
  /** At least one part. */
  jobs: readonly Job[];
  /** Undefined: not known yet; null: there is no accounting beyond the jobs. */
  usage: JobUsage | null | undefined;
  errorOutput: ErrorOutput;
}

export function diagnose({ jobId, jobs, usage, errorOutput }: Evidence): JobDiagnosis {
  const part = speakingPart(jobs);
  if (part === undefined) throw new Error('a job without parts cannot be diagnosed');
  const { status, time } = part;
  const found = {
    jobId,
    state: status.state,
    stateReason: status.stateReason,
    ...exitOf(part),
    canceledBy: status.state === 'CANCELLED' ? part.killRequestUser : null,
    memory: memoryOf(usage),
    time: { usedSeconds: time.elapsed, limitSeconds: time.limit },
    errorOutput,
    isFinal: hasEnded(status.state) && (usage === null || usage?.isFinal === true),
  };
  return { ...found, advice: advise(found) };
}

const forgotten = 'The scheduler tells of the job no more.';

/** Of a job that the scheduler forgot after its end was seen: what was seen then. */
export function diagnoseForgotten(jobId: string, standing: JobStanding): JobDiagnosis {
  const { state, stateReason, exitCode, signal, startedAt, endedAt, limitSeconds } = standing;
  const usedSeconds = startedAt === null || endedAt === null ? null : endedAt - startedAt;
  const found = {
    ...{ jobId, state, stateReason, exitCode, signal, canceledBy: null, isFinal: false },
    memory: { usedBytes: null, requestedBytes: null, note: forgotten },
    time: { usedSeconds, limitSeconds },
    errorOutput: withoutLines(forgotten),
  };
  return { ...found, advice: advise(found) };
}

function memoryOf(usage: Evidence['usage']): JobDiagnosis['memory'] {
  const usedBytes = usage?.memoryUsedBytes ?? null;
  return {
    usedBytes,
    requestedBytes: usage?.memoryRequestedBytes ?? null,
    note: usedBytes === null ? whyUnmeasured(usage) : null,
  };
}

function whyUnmeasured(usage: Evidence['usage']): string {
  if (usage === null) return 'The scheduler keeps no accounting.';
  if (usage?.isFinal !== true) return 'The accounting has not measured it yet.';
  return 'The accounting holds no measurement: the job ended before it was sampled, or the cluster samples none, or does not tell.';
}

/** The job's own, or those of the first step that did not end well: Slurm gives a job that was killed for memory the exit code 0. */
function exitOf({ status, tasks }: Job): Pick<JobDiagnosis, 'exitCode' | 'signal'> {
  const shown = status.state === 'COMPLETED' ? [] : [status, ...(tasks ?? []).map((task) => task.status)];
  const telling = shown.find(({ exitCode, interruptSignal }) => (exitCode ?? 0) !== 0 || (interruptSignal ?? 0) !== 0);
  const { exitCode, interruptSignal } = telling ?? status;
  return { exitCode, signal: interruptSignal === 0 ? null : interruptSignal };
}
