/**
 * When a service counts as broken, and when it is probed again: one failed probe is looked at again soon before it
 * counts, and a broken service is probed every few seconds until one probe succeeds. Pure; one table for all services.
 */
import type { ServiceHealth } from '../../shared/health/system-health.ts';
import type { HealthConfig } from '../../shared/platform/config/config.ts';
import type { Verdict } from './verdict.ts';

export interface TargetState {
  /** Null: not known yet. */
  isHealthy: boolean | null;
  /** Failed probes since the last success. */
  failures: number;
  /** When the first of these was made, or when the service became well. Milliseconds since the epoch, like all times. */
  since: number;
  /** Probes in a row that may have left something hanging on the host. */
  stuck: number;
}

export interface StateRules extends HealthConfig {
  /** Between the probes of a service that is well. */
  intervalMs: number;
}

export interface Advance {
  state: TargetState;
  /** Until the next probe; who waits varies it a little, so that probes of many systems do not come in step. */
  nextInMs: number;
}

/** What another worker wrote so long ago says little: the service has to fail once more before it is broken. */
const trustedMs = 30_000;
/** Nothing is refused while the account of the probes is wrong, so nobody is in a hurry. */
const accountRetryMs = 30_000;

/** Where a worker begins: not known, or what the one before it knew. */
export function initialState(known: ServiceHealth | undefined, now: number, rules: StateRules): TargetState {
  if (known === undefined) return { isHealthy: null, failures: 0, since: now, stuck: 0 };
  if (known.isHealthy) return { isHealthy: true, failures: 0, since: known.since, stuck: 0 };
  const isTrusted = now - known.checkedAt < trustedMs;
  const failures = isTrusted ? rules.failuresUntilBroken : rules.failuresUntilBroken - 1;
  return { isHealthy: !isTrusted, failures, since: known.since, stuck: 0 };
}

export function advance(before: TargetState, verdict: Verdict, now: number, rules: StateRules): Advance {
  const { intervalMs, recheckMs, recoveryIntervalMs, failuresUntilBroken } = rules;
  switch (verdict.outcome) {
    case 'up': {
      const since = before.isHealthy === true && before.failures === 0 ? before.since : now;
      return { state: { isHealthy: true, failures: 0, since, stuck: 0 }, nextInMs: intervalMs };
    }
    case 'down': {
      const failures = before.failures + 1;
      const since = before.failures === 0 ? now : before.since;
      const stuck = verdict.isStuck ? before.stuck + 1 : 0;
      const isBroken = before.isHealthy === false || failures >= failuresUntilBroken;
      const usualMs = isBroken ? recoveryIntervalMs : recheckMs;
      // Each stuck probe may leave a process on the login node that cannot be killed: they must not pile up.
      const nextInMs = stuck === 0 ? usualMs : Math.min(usualMs * 2 ** (stuck - 1), Math.max(intervalMs, usualMs));
      return { state: { isHealthy: !isBroken, failures, since, stuck }, nextInMs };
    }
    case 'unknown':
      return {
        state: afterNothingLearnt(before, verdict.because),
        nextInMs: Math.min(verdict.because === 'login' ? recoveryIntervalMs : accountRetryMs, intervalMs),
      };
  }
}

/** A broken service that the probe's own account keeps from being looked at is not known to be broken any more. */
function afterNothingLearnt(before: TargetState, because: 'account' | 'login'): TargetState {
  if (because === 'login') return before;
  return { ...before, isHealthy: before.isHealthy === false ? null : before.isHealthy, failures: 0, stuck: 0 };
}
