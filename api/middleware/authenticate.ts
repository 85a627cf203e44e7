/**
 * Requires a valid access token, as a bearer token (RFC 6750) or with a proof of its key (RFC 9449), and puts its
 * principal, and where it comes from, into the request.
 */
import type { MiddlewareHandler } from 'hono';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { proofAlgorithms, type SentProof } from '../auth/dpop-proof.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { AppContext, AppEnv } from '../http/app-env.ts';
import type { Challenge, Scheme } from '../http/challenge.ts';
import type { createClientAddress } from '../http/client-address.ts';

const credentials = /^(?:Bearer|(DPoP)) +([A-Za-z0-9._~+/-]+=*) *$/i;

export interface AuthenticateOptions {
  /** How tokens of any issuer may be sent. */
  schemes: readonly Scheme[];
  /** Address of the metadata (RFC 9728), for challenges; undefined where it is not told. */
  metadataUrl: string | undefined;
  addressOf: ReturnType<typeof createClientAddress>;
  /** The address that a proof must name, from that of the request. */
  targetOf: (requestUrl: string) => string | null;
}

/** Throws Unauthenticated without a token, and what the verifier throws. */
export function authenticate(verifyToken: TokenVerifier, options: AuthenticateOptions): MiddlewareHandler<AppEnv> {
  const { schemes, metadataUrl, addressOf, targetOf } = options;
  const challenges: Record<Scheme, Challenge> = {
    Bearer: { schemes, used: 'Bearer', algorithms: proofAlgorithms, metadataUrl },
    DPoP: { schemes, used: 'DPoP', algorithms: proofAlgorithms, metadataUrl },
  };
  const proofOf = (c: AppContext): SentProof => ({
    proof: c.req.header('dpop'),
    method: c.req.method,
    target: targetOf(c.req.url),
    tellNonce: (nonce) => c.set('proofNonce', nonce),
  });
  return async (c, next) => {
    c.set('challenge', challenges.Bearer);
    // First, so that the audit record of a refusal has it.
    const peer = c.env?.incoming?.socket.remoteAddress;
    c.set('address', addressOf({ peer, forwardedFor: c.req.header('x-forwarded-for') }));
    const header = c.req.header('authorization');
    if (header === undefined || header === '') throw new BrokerError('Unauthenticated', 'Not authenticated');
    const [, proven, token] = credentials.exec(header) ?? [];
    if (token === undefined || (proven !== undefined && !schemes.includes('DPoP'))) {
      throw new BrokerError('Unauthenticated', 'Invalid authentication credentials');
    }
    if (proven !== undefined) c.set('challenge', challenges.DPoP);
    c.set('principal', await verifyToken(token, proven === undefined ? undefined : proofOf(c)));
    c.set('token', token);
    await next();
  };
}
