/** The access token of a service account, for services that give SSH credentials to a token only. */
import { decodeJwt } from 'jose';
import { mapUsername } from '../../shared/auth/cluster-username.ts';
import type { ServiceAccountConfig } from '../../shared/platform/config/config.ts';
import { requestToken, type TokenIssuer } from './service-account.ts';

/** The token where the account is that user, else null. Throws IssuerUnavailable, SshCredentialsRefused. */
export type AccountTokenOf = (username: string) => Promise<string | null>;

/** A token is used again until so long before its end. */
const renewBeforeMs = 30_000;

/** One token is kept, in memory; callers at the same time share one request. */
export function createAccountToken(
  { clientId, secret, username }: ServiceAccountConfig,
  issuer: TokenIssuer | undefined,
): AccountTokenOf {
  let known: { token: string; subject: string | undefined; endsAt: number } | undefined;
  let running: Promise<void> | undefined;

  const renew = async (from: TokenIssuer, url: string, id: string, secretText: string): Promise<void> => {
    const token = await requestToken(from, url, id, secretText);
    const claims = decodeJwt(token);
    const subject = mapUsername(claims[from.usernameClaim], from);
    known = { token, subject, endsAt: (claims.exp ?? 0) * 1_000 };
  };

  return async (wanted) => {
    if (!issuer?.tokenUrl || clientId === null || secret === null) return null;
    if (username !== null && username !== wanted) return null;
    if (known !== undefined && known.subject !== wanted) return null; // its name does not change
    if (known === undefined || known.endsAt - renewBeforeMs <= Date.now()) {
      running ??= renew(issuer, issuer.tokenUrl, clientId, secret.reveal()).finally(() => {
        running = undefined;
      });
      await running;
    }
    return known?.subject === wanted ? known.token : null;
  };
}
