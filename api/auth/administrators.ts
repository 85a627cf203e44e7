/** Who administers the service as a whole: whom OpenFGA says, or, without it, whom the configuration names. */

import type { AccessChecker } from '../../shared/authorization/access-checker.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Config } from '../../shared/platform/config/config.ts';
import type { Principal } from '../../shared/tasks/task.ts';

/** Throws AuthorizationUnavailable. */
export function createIsAdministrator(
  { audit, authorization }: Pick<Config, 'audit' | 'authorization'>,
  checkAccess: AccessChecker,
): (principal: Principal, address: string | undefined) => Promise<boolean> {
  if (authorization.type === 'builtin') {
    const named = new Set(audit.administrators);
    return async ({ username }) => named.has(username);
  }
  return async (principal, address) => {
    try {
      await checkAccess(principal, 'administer', null, address);
      return true;
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'Forbidden') return false;
      throw error;
    }
  };
}
