/**
 * Asks before an attempt whether its task may still run. A request that is held was allowed a moment ago; all else is work
 * in the background, where a grant may have been taken back since.
 */
import type { CheckConsent, ConsentedAct } from '../../shared/authorization/check-consent.ts';
import { type BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import type { AuthorizationConfig } from '../../shared/platform/config/authorization-config.ts';
import type { Task } from '../../shared/tasks/task.ts';

/** Least time between two questions about one attempt. */
const askMsMin = 1_000;
const askMsMax = 30_000;

/** As often as a remembered answer ends; null where nobody can take a permission back. */
export function askEveryMsOf(authorization: AuthorizationConfig): number | null {
  if (authorization.type === 'builtin') return null;
  return Math.min(askMsMax, Math.max(askMsMin, authorization.cacheMs));
}

/** What begins so soon after its request, which waits for it, was asked about there. */
const foregroundMsMax = 10_000;

/** Why the task may not run; AuthorizationUnavailable while nobody can tell; null: it may. */
export type StillAllowed = (operation: Operation, task: Task) => Promise<BrokerError | null>;

export function createStillAllowed(checkConsent: CheckConsent): StillAllowed {
  return async (operation, task) => {
    const { principal, address, deadlineAt: until, policy } = task;
    try {
      await checkConsent({ principal, address, until, policy }, actsOf(operation, task));
      return null;
    } catch (thrown) {
      return toBrokerError(thrown);
    }
  };
}

/** Work that nobody waits for, that goes on after an earlier attempt, or that is a later step. */
export function isInBackground({ isHeld, attempt, journal, chain, createdAt }: Task): boolean {
  if (!isHeld || attempt > 1 || journal !== null || chain !== null) return true;
  return Date.now() - createdAt > foregroundMsMax;
}

/** What the present step does, on each of the systems that it acts on. */
function actsOf({ relation, alsoRelation, peer }: Operation, { system, input }: Task): ConsentedAct[] {
  const fields = input as Record<string, unknown>;
  const also = alsoRelation?.(fields) ?? null;
  const other = peer === undefined ? undefined : fields[peer.systemField];
  return [
    { relation, system },
    ...(also === null ? [] : [{ relation: also, system }]),
    ...(typeof other === 'string' ? [{ relation, system: other }] : []),
  ];
}
