/** Whether a failed attempt is followed by another one, and when. The only place where that is decided. */
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { Recovery } from '../../shared/operations/operation.ts';

/** Faults that pass by themselves and say that the attempt had no effect, or that an idempotent one may be repeated. */
const transient: ReadonlySet<ErrorCode> = new Set([
  'SshUnavailable',
  'SshNoChannel',
  'WorkerLost',
  'SchedulerFailed',
  'StoreUnavailable',
  'StagingUnavailable',
  // Asked before anything is done.
  'AuthorizationUnavailable',
]);

const firstDelayMs = 250;
const delayMsMax = 30_000;

export interface FailedAttempt {
  error: BrokerError;
  /** Runs so far, this one included. */
  attempt: number;
  attemptsMax: number;
  recover: Recovery;
  now: number;
  deadlineAt: number;
}

/** Milliseconds until the next attempt, or null: the failure is final. `random` is in [0, 1). */
export function nextAttemptDelayMs(failed: FailedAttempt, random: () => number): number | null {
  const { error, attempt } = failed;
  // Doubt is resolved by looking again, however often that takes; only the deadline ends it.
  const isDoubt = error.code === 'SubmissionInDoubt';
  if (!isDoubt) {
    if (!transient.has(error.code) || failed.recover === 'unknown') return null;
    if (attempt >= failed.attemptsMax) return null;
  }
  const backoffMs = Math.min(firstDelayMs * 4 ** Math.min(attempt - 1, 10), delayMsMax);
  const jitteredMs = Math.round(backoffMs * (0.5 + random() / 2));
  const delayMs = Math.max(jitteredMs, (error.retryAfterSeconds ?? 0) * 1_000);
  return failed.now + delayMs < failed.deadlineAt ? delayMs : null;
}
