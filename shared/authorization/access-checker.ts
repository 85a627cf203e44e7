/** Who may do what on which system: the seam for a relationship checker, and the policy used when none is configured. */
import type { Relation } from '../operations/operation.ts';
import type { Principal } from '../tasks/task.ts';

/**
 * Resolves when the principal may, on the named system or (null) on the broker itself. `address` is where the request
 * comes from; left out, grants that hold for some addresses only do not count.
 * Throws Forbidden when not, AuthorizationUnavailable when the answer cannot be had.
 */
export type AccessChecker = (
  principal: Principal,
  relation: Relation,
  system: string | null,
  address?: string,
) => Promise<void>;

/** Names of the systems that the principal may see; null: all there are. Throws AuthorizationUnavailable. */
export type SystemsFinder = (principal: Principal, address?: string) => Promise<ReadonlySet<string> | null>;

export interface Access {
  checkAccess: AccessChecker;
  findVisible: SystemsFinder;
}

/** The built-in policy: a valid token may use every system as itself. */
export const openAccess: Access = {
  checkAccess: async () => {},
  findVisible: async () => null,
};
