/** Which jobs may still be watched for users who are not there: their consents last, and nobody took the grant back. */
import type { CheckConsent } from '../../shared/authorization/check-consent.ts';
import { type BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import { watchJob } from '../../shared/operations/compute/watch-job.ts';
import type { Watch } from '../../shared/watches/watch.ts';

export interface Standings {
  allowed: Watch[];
  /** They are over, and why. What nobody can tell of now is in neither list. */
  ended: { watch: Watch; why: string }[];
}

/** Asks anew at each look; what is remembered of the answers is the checker's affair. */
export async function findAllowed(checkConsent: CheckConsent, watches: readonly Watch[]): Promise<Standings> {
  const asked = watches.map(async (watch): Promise<{ watch: Watch; error: BrokerError | null }> => {
    const { system, consent } = watch;
    const acts = [{ relation: watchJob.relation, system }];
    const { address, until, policy } = consent;
    const checking = checkConsent({ principal: consent, address, until, policy }, acts);
    return { watch, error: await checking.then(() => null, toBrokerError) };
  });
  const standings: Standings = { allowed: [], ended: [] };
  for (const { watch, error } of await Promise.all(asked)) {
    if (error === null) standings.allowed.push(watch);
    else if (error.code === 'ConsentExpired' || error.code === 'Forbidden') {
      standings.ended.push({ watch, why: error.message });
    }
  }
  return standings;
}
