/**
 * What a worker without `goldcrest.authorization` says of a task that OpenFGA let in: that it cannot tell. Only the policy
 * that let a task in knows whether it may still run and which directories it may reach; the built-in one would allow all.
 */
import { BrokerError } from '../errors/broker-error.ts';
import type { PathChecker } from './access-checker.ts';
import { pathRelations } from './authorization-model.ts';

const retryAfterSeconds = 2;

/** AuthorizationUnavailable. Another worker, which has the section, can go on. */
export function policyMissing(): BrokerError {
  const message = 'OpenFGA let this in, and the worker cannot ask it: its configuration lacks goldcrest.authorization.';
  return new BrokerError('AuthorizationUnavailable', message, {
    detail: { missing: 'goldcrest.authorization' },
    retryAfterSeconds,
  });
}

/** Refuses every path, and what names none, of the operations that can be granted for directories. */
export const missingPaths: PathChecker = async (_principal, relation) => {
  if (pathRelations.has(relation)) throw policyMissing();
};
