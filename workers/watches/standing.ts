/** How a job stands, out of all its parts: an array or a heterogeneous job is watched as one. */
import type { Job } from '../../shared/operations/compute/job.ts';
import type { JobStanding } from '../../shared/watches/watch.ts';

const activeStates: readonly string[] = ['RUNNING', 'SUSPENDED', 'PENDING'];

/** All adapters call what has not ended by one of three words. */
export function hasEnded(state: string): boolean {
  return !activeStates.includes(state);
}

/** The part that speaks for the job: one that runs, else one that waits, else the first that did not end well. */
export function speakingPart(jobs: readonly Job[]): Job | undefined {
  for (const state of activeStates) {
    const part = jobs.find(({ status }) => status.state === state);
    if (part !== undefined) return part;
  }
  return jobs.find(({ status }) => status.state !== 'COMPLETED') ?? jobs[0];
}

/** Undefined where there is no part. */
export function standingOf(jobs: readonly Job[]): JobStanding | undefined {
  const part = speakingPart(jobs);
  if (part === undefined) return undefined;
  const { status, time } = part;
  return {
    state: status.state,
    stateReason: status.stateReason,
    exitCode: status.exitCode,
    signal: status.interruptSignal === 0 ? null : status.interruptSignal,
    submittedAt: time.submit,
    startedAt: time.start,
    endedAt: hasEnded(status.state) ? time.end : null,
    limitSeconds: time.limit,
  };
}

/** A job that waits for what will never be does not end by itself: that is news too. */
export function isStuck({ state, stateReason }: JobStanding): boolean {
  return state === 'PENDING' && stateReason === 'DependencyNeverSatisfied';
}
