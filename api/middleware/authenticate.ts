/** Requires a valid bearer token (RFC 6750) and puts its principal, and where it comes from, into the request. */
import type { MiddlewareHandler } from 'hono';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { AppEnv } from '../http/app-env.ts';
import type { createClientAddress } from '../http/client-address.ts';

const bearer = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/**
 * Throws Unauthenticated without a bearer token, and what the verifier throws. A refusal's challenge names the address of
 * the metadata (RFC 9728), where there is one.
 */
export function authenticate(
  verifyToken: TokenVerifier,
  options: { metadataUrl: string | undefined; addressOf: ReturnType<typeof createClientAddress> },
): MiddlewareHandler<AppEnv> {
  const { metadataUrl, addressOf } = options;
  return async (c, next) => {
    if (metadataUrl !== undefined) c.set('resourceMetadataUrl', metadataUrl);
    // First, so that the audit record of a refusal has it.
    const peer = c.env?.incoming?.socket.remoteAddress;
    c.set('address', addressOf({ peer, forwardedFor: c.req.header('x-forwarded-for') }));
    const header = c.req.header('authorization');
    if (header === undefined || header === '') throw new BrokerError('Unauthenticated', 'Not authenticated');
    const token = bearer.exec(header)?.[1];
    if (token === undefined) throw new BrokerError('Unauthenticated', 'Invalid authentication credentials');
    c.set('principal', await verifyToken(token));
    c.set('token', token);
    await next();
  };
}
