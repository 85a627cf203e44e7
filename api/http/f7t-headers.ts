/** FirecREST's own response headers, on every answer. */

/** The FirecREST version whose API this service speaks. Clients read it as a PEP 440 version and want ≥ 2.2.8. */
export const firecrestApiVersion = '2.5.7';

/** The header holds seconds since the epoch with a fraction. */
export function f7tHeaders(nowMs: number): Record<string, string> {
  return { 'f7t-timestamp': String(nowMs / 1000), 'f7t-appversion': firecrestApiVersion };
}
