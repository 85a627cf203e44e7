/** Headers that keep answers out of caches, frames and type guessing. An answer that sets its own value keeps it. */

/** `isHttps`: the public address is https, so browsers may be told to stay there (RFC 6797). */
export function securityHeaders(isHttps: boolean): Readonly<Record<string, string>> {
  return {
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    ...(isHttps ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  };
}
