/**
 * The one body of every error: the members of RFC 9457 and those of FirecREST v2 (`errorType, message, causedBy, data,
 * user`) in one object, with the headers that belong to its status.
 */
import type { BrokerError, FieldProblem } from '../../shared/errors/broker-error.ts';
import { describeError, type ErrorCode } from '../../shared/errors/catalogue.ts';
import type { AppContext } from './app-env.ts';
import { challengeOf } from './challenge.ts';
import { textResponse } from './json-response.ts';
import { ratePolicy, refusalHeaders } from './rate-headers.ts';

/** Seconds told when an error that is worth a repeat does not say itself when. */
const retryAfterDefaultSeconds = 2;

interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: ErrorCode;
  retryable: boolean;
  advice: string;
  fault: 'caller' | 'cluster' | 'broker';
  requestId: string;
  errors: { pointer: string; detail: string }[];
  errorType: 'error' | 'validation';
  message: string;
  causedBy: string[] | null;
  data: { fields: Pick<FieldProblem, 'location' | 'name' | 'message'>[] } | null;
  user: string | null;
  /** Of a quota that is used up: the names of the policies, as in RateLimit-Policy. */
  'violated-policies'?: string[];
}

/** Problem types that the RateLimit headers' draft registers with IANA. */
const quotaExceeded = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

/** `FileNotFound` → `urn:goldcrest:error:file-not-found`. */
export function problemType(code: ErrorCode): string {
  if (code === 'RateLimited') return quotaExceeded;
  return `urn:goldcrest:error:${wordsOf(code)}`;
}

function wordsOf(code: ErrorCode): string {
  return code.replace(/(?<!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}

/** The body. FirecREST names a field only by its first step below body, query or path; `errors` holds full pointers. */
export function problemBody(c: AppContext, error: BrokerError): ProblemBody {
  const { status, title, fault, retryable, advice } = describeError(error.code);
  return {
    type: problemType(error.code),
    title,
    status,
    detail: error.message,
    instance: c.req.path,
    code: error.code,
    retryable,
    advice,
    fault,
    requestId: c.get('requestId') ?? '',
    errors: error.fields.map(({ pointer, message }) => ({ pointer, detail: message })),
    // Upstream's clients look for the fields where it says so.
    errorType: error.fields.length > 0 ? 'validation' : 'error',
    message: error.message,
    causedBy: null,
    data:
      error.fields.length === 0
        ? null
        : { fields: error.fields.map(({ location, name, message }) => ({ location, name, message })) },
    user: c.get('principal')?.username ?? null,
    ...(error.code === 'RateLimited' ? { 'violated-policies': [ratePolicy] } : {}),
  };
}

/** Seconds after which to try again: always told with 429 and 503; undefined where there is nothing to say. */
export function retryAfterSecondsOf({ code, retryAfterSeconds }: BrokerError): number | undefined {
  const { status } = describeError(code);
  const isRepeatAdvised = status === 429 || status === 503 || code === 'SshNoChannel';
  const seconds = retryAfterSeconds ?? (isRepeatAdvised ? retryAfterDefaultSeconds : undefined);
  return seconds === undefined ? undefined : Math.max(1, Math.ceil(seconds));
}

function problemHeaders(c: AppContext, error: BrokerError, status: number): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  const principal = c.get('principal');
  if (principal !== undefined) headers['f7t-authusername'] = principal.username;
  if (status === 401) headers['www-authenticate'] = challengeOf(c.get('challenge'), error);
  const seconds = retryAfterSecondsOf(error);
  if (seconds === undefined) return headers;
  headers['retry-after'] = String(seconds);
  const isRefusedForNow = (status === 429 || status === 503) && !c.get('rate');
  return isRefusedForNow ? { ...headers, ...refusalHeaders(wordsOf(error.code), error.quota ?? 0, seconds) } : headers;
}

/** The answer for an error. `extra` headers are added, e.g. Location or Allow. */
export function problemResponse(c: AppContext, error: BrokerError, extra: Record<string, string> = {}): Response {
  const { status } = describeError(error.code);
  c.set('problem', error.code);
  const headers = { ...problemHeaders(c, error, status), ...c.get('replyHeaders'), ...extra };
  return textResponse(c, status, JSON.stringify(problemBody(c, error)), headers);
}
