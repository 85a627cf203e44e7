/**
 * Logs probes in as the service account. One that is refused is not tried again soon: login nodes and token issuers lock
 * out addresses that fail again and again, and that would be everybody's.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { createGate } from '../runtime/concurrency-gate.ts';
import type { FreshHost } from '../ssh/fresh-host.ts';
import type { Ssh } from '../ssh/ssh.ts';
import type { FindUsername } from './service-account.ts';
import { type Verdict, verdictOfLogin, withoutAccount } from './verdict.ts';

export interface AccountLoginOptions {
  system: string;
  ssh: Pick<Ssh, 'credentialFor' | 'logInFresh'>;
  findUsername: FindUsername;
  /** From the first refusal to the next attempt; twice as long after each further one, an hour at most. */
  retryMs: number;
}

/** A login within `timeoutMs`, or what its failure says of the login node. Never rejects. */
export type AccountLogin = (timeoutMs: number) => Promise<FreshHost | Verdict>;

const retryMsMax = 3_600_000;

export function createAccountLogin({ system, ssh, findUsername, retryMs }: AccountLoginOptions): AccountLogin {
  let isProven = false;
  let refusals = 0;
  let refusal: { until: number; verdict: Verdict } | null = null;
  const oneAtATime = createGate(1);

  const attempt = async (timeoutMs: number): Promise<FreshHost | Verdict> => {
    if (refusal !== null && Date.now() < refusal.until) return refusal.verdict;
    try {
      const username = await findUsername();
      const credential = await ssh.credentialFor(system, username);
      const host = await ssh.logInFresh(system, username, credential, timeoutMs);
      isProven = true;
      refusals = 0;
      refusal = null;
      return host;
    } catch (error) {
      const verdict = verdictOf(error);
      if (error instanceof BrokerError && error.code === 'SshCredentialsRefused') {
        isProven = false;
        refusal = { until: Date.now() + Math.min(retryMs * 2 ** refusals, retryMsMax), verdict };
        refusals += 1;
      }
      return verdict;
    }
  };
  // Until a login has succeeded the others wait for its outcome, so that a wrong account is refused once and not by all.
  return (timeoutMs) => (isProven ? attempt(timeoutMs) : oneAtATime(() => attempt(timeoutMs)));
}

function verdictOf(error: unknown): Verdict {
  const isIssuerAway = error instanceof BrokerError && error.code === 'IssuerUnavailable';
  return isIssuerAway ? withoutAccount(error.message) : verdictOfLogin(error);
}
