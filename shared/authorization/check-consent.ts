/**
 * Whether work may go on for a user who is not there: what the user agreed to has not run out, and who may grant it has
 * not taken it back. Asked before each step of work in the background, with the address that the request came from.
 */
import { BrokerError, toBrokerError } from '../errors/broker-error.ts';
import type { Relation } from '../operations/operation.ts';
import type { Policy, Principal } from '../tasks/task.ts';
import type { Access } from './access-checker.ts';
import { policyMissing } from './missing-access.ts';

/** Who agreed, from where, until when in milliseconds since the epoch, and which policy let it in. */
export interface GivenConsent {
  principal: Principal;
  address: string | null;
  until: number;
  policy: Policy;
}

/** One class of operations on one system; null: the broker itself. */
export interface ConsentedAct {
  relation: Relation;
  system: string | null;
}

/**
 * Resolves where all of it may still be done. Throws ConsentExpired past the end, Forbidden where a grant was taken back or
 * has run out, AuthorizationUnavailable where nobody can tell, or this process has not the policy that let it in: then
 * nothing is to be begun, and it is asked again later.
 */
export type CheckConsent = (consent: GivenConsent, acts: readonly ConsentedAct[]) => Promise<void>;

export function createCheckConsent(
  { checkAccess, policy }: Pick<Access, 'checkAccess' | 'policy'>,
  now: () => number = Date.now,
): CheckConsent {
  const check = async ({ principal, address }: GivenConsent, { relation, system }: ConsentedAct): Promise<void> => {
    try {
      await checkAccess(principal, relation, system, address ?? undefined);
    } catch (thrown) {
      const error = toBrokerError(thrown);
      if (error.code !== 'Forbidden') throw error;
      const message = `The permission was taken back, or has ended, since this was asked for. ${error.message}`;
      throw new BrokerError('Forbidden', message, { cause: error });
    }
  };
  return async (consent, acts) => {
    if (now() >= consent.until) throw consentExpired(consent.until);
    if (consent.policy === 'openfga' && policy !== 'openfga') throw policyMissing();
    for (const act of acts) await check(consent, act);
  };
}

/** Nothing more is done for the user, who may have to look on the cluster what was. */
export function consentExpired(until: number): BrokerError {
  const message = `The consent to act for you ended at ${new Date(until).toISOString()}.`;
  return new BrokerError('ConsentExpired', message);
}
