/** Which pages of other origins may call the API in a browser (CORS, WHATWG Fetch): those that are configured, and no cookies. */
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import type { AppEnv } from '../http/app-env.ts';

/** What a page may read of an answer beside its body. */
const exposeHeaders = [
  ...['etag', 'link', 'location', 'retry-after', 'x-request-id', 'x-correlation-id', 'idempotency-key-reply'],
  ...['ratelimit', 'ratelimit-policy', 'preference-applied', 'content-disposition', 'www-authenticate'],
  'dpop-nonce',
];
const maxAgeSeconds = 600;

/** Answers the browser's own question (OPTIONS) and marks the answers. `origins` has at least one. */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler<AppEnv> {
  const allowMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
  return cors({ origin: [...origins], allowMethods, exposeHeaders, maxAge: maxAgeSeconds });
}
