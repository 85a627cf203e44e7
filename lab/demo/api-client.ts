/** The demo's client of the REST API: one request, timed, its JSON read; an answer that is an error is thrown. */
import { LabError } from '../lab-error.ts';

export interface Answer<Body> {
  status: number;
  /** From the first byte sent to the last byte read. */
  tookMs: number;
  body: Body;
}

export interface ApiClient {
  get<Body>(path: string, headers?: Record<string, string>): Promise<Answer<Body>>;
  post<Body>(path: string, body: unknown): Promise<Answer<Body>>;
}

const timeoutMs = 70_000;

/** Throws `CommandFailed` with the request and the API's own words. */
export function createApiClient(url: string, token: string): ApiClient {
  const send = async <Body>(method: string, path: string, headers: Record<string, string>, body?: unknown) => {
    const startedAt = performance.now();
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const tookMs = performance.now() - startedAt;
    if (!response.ok) throw new LabError('CommandFailed', `${method} ${path} was answered ${response.status}: ${text}`);
    return { status: response.status, tookMs, body: JSON.parse(text) as Body };
  };
  return {
    get: (path, headers = {}) => send('GET', path, headers),
    post: (path, body) => send('POST', path, { 'content-type': 'application/json' }, body),
  };
}
