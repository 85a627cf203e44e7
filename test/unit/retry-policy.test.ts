import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type ErrorCode, errorCodes } from '../../shared/errors/catalogue.ts';
import { type FailedAttempt, nextAttemptDelayMs } from '../../workers/runtime/retry-policy.ts';

function failed(code: ErrorCode, over: Partial<FailedAttempt> = {}): FailedAttempt {
  const error = new BrokerError(code);
  return { error, attempt: 1, attemptsMax: 3, recover: 'rerun', now: 0, deadlineAt: 3_600_000, ...over };
}

describe('the retry policy', () => {
  it('repeats only what passes by itself', () => {
    const repeated = errorCodes.filter((code) => nextAttemptDelayMs(failed(code), () => 0.5) !== null);
    expect(repeated).toEqual([
      'SshUnavailable',
      'SshNoChannel',
      'SchedulerFailed',
      'SubmissionInDoubt',
      'WorkerLost',
      'StoreUnavailable',
      'StagingUnavailable',
      'AuthorizationUnavailable',
    ]);
  });

  it('never repeats an operation whose effect cannot be told', () => {
    expect(nextAttemptDelayMs(failed('SshUnavailable', { recover: 'unknown' }), () => 0)).toBeNull();
  });

  it('waits longer after each attempt, within its bound, and spreads the callers', () => {
    const delay = (attempt: number, random: number) =>
      nextAttemptDelayMs(failed('SshUnavailable', { attempt, attemptsMax: 99 }), () => random);
    expect([delay(1, 0), delay(1, 0.999)]).toEqual([125, 250]);
    expect(delay(2, 0.999)).toBe(1_000);
    expect(delay(50, 0.999)).toBeLessThanOrEqual(30_000);
  });

  it('waits at least as long as the error asks for', () => {
    const error = new BrokerError('SubmissionInDoubt', 'in doubt', { retryAfterSeconds: 5 });
    expect(nextAttemptDelayMs(failed('SubmissionInDoubt', { error }), () => 0)).toBe(5_000);
  });

  it('ends with the attempts, but goes on looking for a job in doubt until the deadline', () => {
    expect(nextAttemptDelayMs(failed('SshUnavailable', { attempt: 3 }), () => 0)).toBeNull();
    expect(nextAttemptDelayMs(failed('SubmissionInDoubt', { attempt: 30 }), () => 0)).not.toBeNull();
    expect(nextAttemptDelayMs(failed('SubmissionInDoubt', { attempt: 30, now: 3_600_000 }), () => 0)).toBeNull();
  });
});
