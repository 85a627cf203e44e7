/** Who may do what on which system: the seam for a relationship checker, and the policy used when none is configured. */
import type { Relation } from '../operations/operation.ts';
import type { Policy, Principal } from '../tasks/task.ts';

/**
 * Resolves when the principal may, on the named system or (null) on the broker itself; a grant for some directories only
 * counts, see `PathChecker`. `address` is where the request comes from; left out, grants that hold for some addresses only
 * do not count. Throws Forbidden when not, AuthorizationUnavailable when the answer cannot be had.
 */
export type AccessChecker = (
  principal: Principal,
  relation: Relation,
  system: string | null,
  address?: string,
) => Promise<void>;

/**
 * Resolves when the grant reaches all of the paths, which are absolute and have no links in them. None: it must be for the
 * whole system. Throws as `AccessChecker`.
 */
export type PathChecker = (
  principal: Principal,
  relation: Relation,
  system: string,
  paths: readonly string[],
  address?: string,
) => Promise<void>;

/** Names of the systems that the principal may see; null: all there are. Throws AuthorizationUnavailable. */
export type SystemsFinder = (principal: Principal, address?: string) => Promise<ReadonlySet<string> | null>;

/** What somebody else has: a task, with the system it is on, or a webhook. `system` is left out where there is no such thing. */
export interface OthersThing {
  type: 'task' | 'webhook';
  id: string;
  system?: string | null;
}

/** Whether the principal may see, or cancel, what is somebody else's. Throws AuthorizationUnavailable. */
export type OthersChecker = (
  principal: Principal,
  relation: 'view' | 'cancel',
  thing: OthersThing,
  address?: string,
) => Promise<boolean>;

export interface Access {
  policy: Policy;
  checkAccess: AccessChecker;
  checkPaths: PathChecker;
  findVisible: SystemsFinder;
  mayOnOthers: OthersChecker;
}

/** The built-in policy: a valid token may use every system as itself, and sees nothing of others. */
export const openAccess: Access = {
  policy: 'builtin',
  checkAccess: async () => {},
  checkPaths: async () => {},
  findVisible: async () => null,
  mayOnOthers: async () => false,
};
