/**
 * The headers every answer carries. Answers of ours take them while they are made, as plain values: that keeps the
 * server adapter on its short way (10 µs a request). Answers made otherwise get them here.
 */
import type { MiddlewareHandler } from 'hono';
import type { AppEnv } from '../http/app-env.ts';
import { f7tHeaders } from '../http/f7t-headers.ts';
import { rateHeaders } from '../http/rate-headers.ts';
import { requestIdsOf } from '../http/request-ids.ts';
import { securityHeaders } from '../http/security-headers.ts';

export interface ResponseHeadersOptions {
  /** Milliseconds since the epoch. */
  now: () => number;
  isHttps: boolean;
}

/** Gives the request its ids, and every answer them, FirecREST's headers and the security headers. */
export function responseHeaders({ now, isHttps }: ResponseHeadersOptions): MiddlewareHandler<AppEnv> {
  const constant = securityHeaders(isHttps);
  return async (c, next) => {
    const ids = requestIdsOf(c.req.header('x-request-id'), c.req.header('x-correlation-id'));
    let isTaken = false;
    const make = () => ({
      ...constant,
      ...f7tHeaders(now()),
      'x-request-id': ids.requestId,
      'x-correlation-id': ids.correlationId,
      ...rateHeaders(c.get('rate')),
      ...nonceHeader(c.get('proofNonce')),
    });
    c.set('requestId', ids.requestId);
    c.set('correlationId', ids.correlationId);
    c.set('takeHeaders', () => {
      isTaken = true;
      return make();
    });
    await next();
    if (isTaken) return;
    for (const [name, value] of Object.entries(make())) {
      if (!c.res.headers.has(name)) c.res.headers.set(name, value);
    }
  };
}

/** RFC 9449, section 8: a new nonce may come with any answer. */
function nonceHeader(nonce: string | undefined): Record<string, string> {
  return nonce === undefined ? {} : { 'dpop-nonce': nonce };
}
