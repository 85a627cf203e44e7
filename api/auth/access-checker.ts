/** Who may do what on which system: the seam for a relationship checker, and the policy used when none is configured. */
import type { Relation } from '../../shared/operations/operation.ts';
import type { Principal } from '../../shared/tasks/task.ts';

/**
 * Resolves when the principal may, on the named system or (null) on the broker itself.
 * Throws Forbidden when not, ServiceUnhealthy-like 503 codes when the answer cannot be had.
 */
export type AccessChecker = (principal: Principal, relation: Relation, system: string | null) => Promise<void>;

/** The built-in policy: a valid token may use every system as itself. */
export const allowEverySystem: AccessChecker = async () => {};
