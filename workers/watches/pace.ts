/** How soon a watched job is looked at again: often while it is young or about to end, seldom when nothing has happened for long. */
import type { Watch } from '../../shared/watches/watch.ts';

export interface PaceLimits {
  intervalMsMin: number;
  intervalMsMax: number;
}

/** A state that has lasted an hour is not over within the next minute, as a rule. */
const shareOfAge = 1 / 30;
/** So long around the end of its time limit a job is looked at often. */
const nearEndMs = 60_000;
/** Looks take at most that share of the time; one query of 10,000 jobs takes a third of a second. */
const lookShareMax = 1 / 3;

/** Between two looks for a job that is missing, which cost commands of their own. */
export function missingLookMs({ intervalMsMin, intervalMsMax }: PaceLimits): number {
  return Math.min(intervalMsMax, 5 * intervalMsMin);
}

export function intervalOf(
  watch: Pick<Watch, 'phase' | 'standing' | 'changedAt'>,
  now: number,
  limits: PaceLimits,
): number {
  const { intervalMsMin, intervalMsMax } = limits;
  if (watch.phase === 'unknown') return missingLookMs(limits);
  if (watch.phase !== 'watching' || watch.standing === null) return intervalMsMin;
  const { state, startedAt, limitSeconds } = watch.standing;
  if (state === 'RUNNING' && startedAt !== null && limitSeconds !== null) {
    const leftMs = (startedAt + limitSeconds) * 1_000 - now;
    if (leftMs < nearEndMs) return intervalMsMin;
  }
  return Math.min(intervalMsMax, Math.max(intervalMsMin, (now - watch.changedAt) * shareOfAge));
}

/** For all jobs of a system: that of the most urgent, but never so short that looks take all the time. */
export function systemIntervalMs(watches: Iterable<Watch>, lookMs: number, now: number, limits: PaceLimits): number {
  let shortest = limits.intervalMsMax;
  for (const watch of watches) shortest = Math.min(shortest, intervalOf(watch, now, limits));
  return Math.max(shortest, Math.min(limits.intervalMsMax, lookMs / lookShareMax));
}
