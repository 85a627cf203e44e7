/**
 * The one error class. Its message is written for the caller; what only the operators may see goes into `detail` and
 * `cause`, which reach the log and never an answer.
 */
import { describeError, type ErrorCode, isErrorCode } from './catalogue.ts';
import type { Fault } from './error-entry.ts';

/** One input field that was wrong; `pointer` is a JSON pointer into the body or the name of a query parameter. */
export interface FieldProblem {
  location: 'path' | 'query' | 'body' | 'header';
  name: string;
  pointer: string;
  message: string;
}

export interface BrokerErrorOptions {
  cause?: unknown;
  /** For the log only. */
  detail?: Record<string, unknown>;
  /** Fields that were wrong, for `InvalidRequest`. */
  fields?: FieldProblem[];
  /** Seconds after which a repeat makes sense; sent as `Retry-After`. */
  retryAfterSeconds?: number;
  /** The bound that was reached, where there is one. */
  quota?: number;
}

/** An error with a code of the catalogue. `message` is public. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: ErrorCode;
  readonly detail: Record<string, unknown>;
  readonly fields: FieldProblem[];
  readonly retryAfterSeconds: number | undefined;
  readonly quota: number | undefined;

  constructor(code: ErrorCode, publicMessage?: string, options: BrokerErrorOptions = {}) {
    super(
      publicMessage ?? describeError(code).title,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.detail = options.detail ?? {};
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.quota = options.quota;
  }
}

/** The shape in which an error is kept in a task record and sent between processes; all of it is public. */
export interface StoredError {
  code: ErrorCode;
  message: string;
  fault: Fault;
  retryable: boolean;
  advice: string;
  fields?: FieldProblem[];
  retryAfterSeconds?: number;
  quota?: number;
}

/** Any thrown value as a BrokerError: an unknown one becomes `Internal` with a fixed sentence and keeps its cause. */
export function toBrokerError(thrown: unknown): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  return new BrokerError('Internal', 'An internal error occurred.', { cause: thrown });
}

export function toStoredError(error: BrokerError): StoredError {
  const { fault, retryable, advice } = describeError(error.code);
  return {
    code: error.code,
    message: error.message,
    fault,
    retryable,
    advice,
    ...(error.fields.length > 0 ? { fields: error.fields } : {}),
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
    ...(error.quota === undefined ? {} : { quota: error.quota }),
  };
}

/** The error a stored one stands for. A code that this version does not know becomes `Internal`, message kept. */
export function fromStoredError(stored: StoredError): BrokerError {
  const code: ErrorCode = isErrorCode(stored.code) ? stored.code : 'Internal';
  return new BrokerError(code, stored.message, {
    ...(stored.fields ? { fields: stored.fields } : {}),
    ...(stored.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: stored.retryAfterSeconds }),
    ...(stored.quota === undefined ? {} : { quota: stored.quota }),
  });
}
