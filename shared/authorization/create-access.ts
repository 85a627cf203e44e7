/** The policy that the configuration names. */
import type { AuthorizationConfig } from '../platform/config/authorization-config.ts';
import { type Access, openAccess } from './access-checker.ts';

/** Loads the OpenFGA client only where it is asked. Connects when first asked. */
export async function createAccess(authorization: AuthorizationConfig): Promise<Access> {
  if (authorization.type === 'builtin') return openAccess;
  const { createOpenFgaAccess } = await import('./openfga-access.ts');
  return createOpenFgaAccess(authorization);
}
