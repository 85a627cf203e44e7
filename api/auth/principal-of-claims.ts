/** Reads who the caller is from verified claims. The username becomes an account on the clusters, so it is checked strictly. */
import type { JWTPayload } from 'jose';
import { clusterUsername, mapUsername, type UsernameRules } from '../../shared/auth/cluster-username.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { IssuerConfig } from '../../shared/platform/config/config.ts';
import type { Principal } from '../../shared/tasks/task.ts';

/** Accounts nobody may act as, whatever a token says. */
const deniedUsernames: readonly string[] = ['root'];

type NameRules = Pick<IssuerConfig, 'usernameClaim'> & UsernameRules;
type ClaimRules = Pick<IssuerConfig, 'issuer' | 'requiredScopes'> & NameRules;

function usernameOf(claims: JWTPayload, rules: NameRules): string {
  const claim = rules.usernameClaim;
  const sent = claims[claim];
  if (typeof sent !== 'string' || sent === '') {
    throw new BrokerError('UsernameClaimMissing', `The access token has no claim ${claim}, which must name the user.`);
  }
  const value = mapUsername(sent, rules);
  if (value === undefined) {
    throw new BrokerError(
      'UsernameClaimMissing',
      `The claim ${claim} of the access token names no user of the clusters.`,
    );
  }
  if (!clusterUsername.test(value)) {
    throw new BrokerError('UsernameClaimMissing', `The claim ${claim} of the access token is not a valid user name.`);
  }
  if (deniedUsernames.includes(value)) {
    throw new BrokerError('Forbidden', `The user ${value} may not use this service.`);
  }
  return value;
}

/** `scope` is a space-separated text (RFC 8693, section 4.2); some issuers send a list or `scp`. */
function scopesOf(claims: JWTPayload): Set<string> {
  const { scope = claims.scp } = claims;
  if (typeof scope === 'string') return new Set(scope.split(' '));
  return new Set(Array.isArray(scope) ? scope.filter((item) => typeof item === 'string') : []);
}

/** Throws UsernameClaimMissing, and Forbidden for a missing scope or an account nobody may act as. */
export function principalOfClaims(claims: JWTPayload, rules: ClaimRules): Principal {
  const name = usernameOf(claims, rules);
  const scopes = scopesOf(claims);
  const missing = rules.requiredScopes.filter((scope) => !scopes.has(scope));
  if (missing.length > 0) {
    throw new BrokerError('Forbidden', `The access token lacks the scope ${missing.join(' ')}.`);
  }
  const client = claims.client_id ?? claims.azp;
  return {
    issuer: rules.issuer,
    // Some issuers leave `sub` out of tokens meant for programs; the username is then what identifies.
    subject: claims.sub ?? `username:${name}`,
    username: name,
    client: typeof client === 'string' ? client : null,
  };
}
