/**
 * The cluster user that probes log in as: named by the configuration, or by the token that the account's OAuth client
 * gets (RFC 6749, section 4.4). The token is for its name only; it is not kept.
 */
import { decodeJwt } from 'jose';
import { clusterUsername, mapUsername, type UsernameRules } from '../../shared/auth/cluster-username.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { readBoundedText } from '../../shared/platform/bounded-text.ts';
import type { IssuerConfig, ServiceAccountConfig } from '../../shared/platform/config/config.ts';

/**
 * Throws with a public reason: IssuerUnavailable when the name cannot be found out now, SshCredentialsRefused when the
 * account or its configuration is wrong.
 */
export type FindUsername = () => Promise<string>;

const requestMs = 5_000;
/** Longest answer of a token endpoint. */
const answerBytesMax = 256 * 1024;

export type TokenIssuer = Pick<IssuerConfig, 'tokenUrl' | 'tokenEndpointAuthMethod' | 'usernameClaim'> & UsernameRules;

/** The issuer is asked once; from then on its absence changes nothing. Callers at the same time share one request. */
export function createFindUsername(
  account: ServiceAccountConfig | null,
  issuer: TokenIssuer | undefined,
): FindUsername {
  if (account === null) return () => Promise.reject(wrong('The system has no service account to probe it with.'));
  if (account.username !== null) return () => Promise.resolve(account.username ?? '');
  let known: Promise<string> | undefined;
  return () => {
    known ??= nameOfToken(account, issuer).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

async function nameOfToken(account: ServiceAccountConfig, issuer: TokenIssuer | undefined): Promise<string> {
  const { clientId, secret } = account;
  if (!issuer?.tokenUrl || clientId === null || secret === null) {
    throw wrong('No token endpoint is configured for the service account, and no username.');
  }
  const token = await requestToken(issuer, issuer.tokenUrl, clientId, secret.reveal());
  const name = mapUsername(claimOf(token, issuer.usernameClaim), issuer);
  if (name !== undefined && clusterUsername.test(name)) return name;
  throw wrong(`The token of the service account has no claim ${issuer.usernameClaim} with the name of a user.`);
}

/** An access token by the client credentials grant. Throws IssuerUnavailable, SshCredentialsRefused. */
export async function requestToken(
  issuer: TokenIssuer,
  url: string,
  clientId: string,
  secret: string,
): Promise<string> {
  const isBasic = issuer.tokenEndpointAuthMethod === 'client_secret_basic';
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`).toString('base64');
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(isBasic ? {} : { client_id: clientId, client_secret: secret }),
  });
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: isBasic ? { authorization: `Basic ${basic}` } : {},
    redirect: 'error',
    signal: AbortSignal.timeout(requestMs),
  }).catch((cause: unknown) => {
    throw unavailable('The token issuer does not answer.', cause);
  });
  const answer = await readAnswer(response).catch(() => null);
  const token = (answer as { access_token?: unknown } | null)?.access_token;
  if (response.ok && typeof token === 'string') return token;
  const message = `The token issuer gave the service account no token (status ${response.status}).`;
  throw response.status >= 500 ? unavailable(message) : wrong(message);
}

async function readAnswer(response: Response): Promise<unknown> {
  return JSON.parse(await readBoundedText(response, answerBytesMax));
}

/** Not verified: it came from the configured endpoint and says as whom to log in, which the login node decides on. */
function claimOf(token: string, claim: string): unknown {
  try {
    return decodeJwt(token)[claim];
  } catch (cause) {
    throw wrong('The token of the service account cannot be read.', cause);
  }
}

function unavailable(message: string, cause?: unknown): BrokerError {
  return new BrokerError('IssuerUnavailable', message, { cause });
}

function wrong(message: string, cause?: unknown): BrokerError {
  return new BrokerError('SshCredentialsRefused', message, { cause });
}
