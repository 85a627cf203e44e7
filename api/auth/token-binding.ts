/**
 * Whether a verified token may be used the way it was sent: as a bearer token, or with a proof of the key it is bound to
 * (`cnf.jkt`, RFC 9449, sections 6.1 and 7).
 */
import type { JWTPayload } from 'jose';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { IssuerConfig } from '../../shared/platform/config/config.ts';
import type { Scheme } from '../http/challenge.ts';
import type { SentProof } from './dpop-proof.ts';
import type { ProofChecker } from './proof-checker.ts';

/** What binds a token: its own claim, and what its issuer's tokens must come with. */
export interface TokenBinding extends Pick<IssuerConfig, 'dpop' | 'dpopNonce'> {
  /** Thumbprint of the key; null where it is bound to none. */
  keyThumbprint: string | null;
}

/** By which schemes a token of any of the issuers may be sent. */
export function schemesOf(issuers: readonly Pick<IssuerConfig, 'dpop'>[]): Scheme[] {
  const bearer: Scheme[] = issuers.some(({ dpop }) => dpop !== 'required') ? ['Bearer'] : [];
  const dpop: Scheme[] = issuers.some((each) => each.dpop !== 'off') ? ['DPoP'] : [];
  return [...bearer, ...dpop];
}

const thumbprint = /^[A-Za-z0-9_-]{43}$/;

/** Throws TokenInvalid for a binding that cannot be read. */
export function bindingOf(claims: JWTPayload, { dpop, dpopNonce }: IssuerConfig): TokenBinding {
  const confirmation = claims.cnf as { jkt?: unknown } | null | undefined;
  const jkt = confirmation?.jkt ?? null;
  if (jkt !== null && !(typeof jkt === 'string' && thumbprint.test(jkt))) {
    throw new BrokerError('TokenInvalid', 'Access token is invalid.', {
      detail: { reason: 'cnf.jkt is no thumbprint' },
    });
  }
  return { keyThumbprint: jkt, dpop, dpopNonce };
}

/** Whether it may be sent as a bearer token; the one question that the usual request is asked. */
export function isBearer({ keyThumbprint, dpop }: TokenBinding): boolean {
  return keyThumbprint === null && dpop !== 'required';
}

/** Of a token that was sent as a bearer token and is none. */
export function bearerRefusal({ keyThumbprint, dpop }: TokenBinding): BrokerError {
  const message =
    dpop === 'off'
      ? 'The access token is bound to a key, and this service checks no proofs for its issuer: get one without DPoP.'
      : keyThumbprint === null
        ? 'Tokens of this issuer must be bound to a key: get one with DPoP, and send it with the DPoP scheme.'
        : 'The access token is bound to a key: send it with the DPoP scheme and a proof.';
  return new BrokerError('TokenInvalid', message);
}

/** Checks the proof of a token sent with the DPoP scheme. Throws TokenInvalid and what the checker throws. */
export async function requireProof(
  binding: TokenBinding,
  check: ProofChecker,
  { token, sent }: { token: string; sent: SentProof },
): Promise<void> {
  const { keyThumbprint, dpop, dpopNonce } = binding;
  if (dpop === 'off') {
    throw new BrokerError('TokenInvalid', 'Tokens of this issuer are not taken with DPoP: send them as Bearer.');
  }
  if (keyThumbprint === null) {
    throw new BrokerError(
      'TokenInvalid',
      'The access token is bound to no key: get one with DPoP, or send it as Bearer.',
    );
  }
  await check(sent, { token, keyThumbprint, isNonceRequired: dpopNonce });
}
