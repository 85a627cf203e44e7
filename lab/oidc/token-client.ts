/** Tokens from the lab's issuer. Works from the facts alone, so also in a process that did not start the lab. */
import { LabError } from '../lab-error.ts';
import type { IssuedTokens } from './issuer.ts';
import { type ProofKey, signProof } from './proofs.ts';

export interface OidcClient {
  clientId: string;
  clientSecret: string;
  username: string;
}

export interface OidcFacts {
  issuer: string;
  tokenEndpoint: string;
  jwksUri: string;
  /** What `aud` says unless a token is asked for with another. */
  audience: string;
  /** What `scope` says unless a token is asked for with another. */
  scope: string;
  /** By the short name of the lab's user: alice, bob, carol, service, … */
  clients: Record<string, OidcClient>;
}

export interface TokenOptions {
  expiresInSeconds?: number;
  audience?: string;
  /** `unrelated` is one that the issuer grants and the broker does not know. */
  scope?: string;
  algorithm?: 'RS256' | 'ES256';
  /** Binds the token to this key (RFC 9449). */
  proofKey?: ProofKey;
}

/** An access token for a user of the lab by the client credentials grant. */
export async function requestToken(oidc: OidcFacts, name: string, options: TokenOptions = {}): Promise<string> {
  const client = oidc.clients[name];
  if (!client)
    throw new LabError('NotStarted', `No OIDC client ${name}; there are ${Object.keys(oidc.clients).join()}`);
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (options.scope !== undefined) form.set('scope', options.scope);
  if (options.audience !== undefined) form.set('lab_audience', options.audience);
  if (options.expiresInSeconds !== undefined) form.set('lab_expires_in', String(options.expiresInSeconds));
  if (options.algorithm !== undefined) form.set('lab_algorithm', options.algorithm);
  const { proofKey } = options;
  const proof =
    proofKey === undefined ? {} : { dpop: await signProof(proofKey, { method: 'POST', url: oidc.tokenEndpoint }) };
  const response = await fetch(oidc.tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`, ...proof },
    body: form,
    signal: AbortSignal.timeout(10_000),
  });
  const answer = (await response.json()) as { access_token?: string };
  if (answer.access_token === undefined) {
    throw new LabError('CommandFailed', `${oidc.tokenEndpoint} answered ${response.status}: ${JSON.stringify(answer)}`);
  }
  return answer.access_token;
}

/** How many tokens the issuer has given out, and those after the first `after`. */
export async function issuedTokens(oidc: OidcFacts, after: number): Promise<IssuedTokens> {
  const response = await fetch(`${oidc.issuer}/lab/tokens?after=${after}`, { signal: AbortSignal.timeout(10_000) });
  return (await response.json()) as IssuedTokens;
}

/** New signing keys; with `keepsOldKeys` false, tokens signed before can no longer be verified. */
export async function rotateIssuerKeys(oidc: OidcFacts, options: { keepsOldKeys?: boolean } = {}): Promise<void> {
  const keep = options.keepsOldKeys === false ? 'no' : 'yes';
  const url = `${oidc.issuer}/lab/rotate-keys?keep=${keep}`;
  const response = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(10_000) });
  if (response.status !== 204) throw new LabError('CommandFailed', `${url} answered ${response.status}`);
}
