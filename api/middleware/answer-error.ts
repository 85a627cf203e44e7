/** Turns whatever was thrown into the one error body, and tells the log what the caller must not see. */
import type { ErrorHandler } from 'hono';
import type { Logger } from 'pino';
import { type BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import { describeError } from '../../shared/errors/catalogue.ts';
import type { AppContext, AppEnv } from '../http/app-env.ts';
import { problemResponse } from '../http/problem.ts';

function logError(log: Logger, c: AppContext, error: BrokerError): void {
  const { status, fault } = describeError(error.code);
  const entry = {
    code: error.code,
    requestId: c.get('requestId'),
    route: c.get('route'),
    user: c.get('principal')?.username,
    detail: error.detail,
    err: error.cause,
  };
  // An outage makes every request fail alike: one short line each, not a stack.
  if (status === 503) log.warn({ ...entry, err: undefined, cause: String(error.cause ?? '') }, error.message);
  else if (status >= 500 && fault === 'broker') log.error(entry, error.message);
  else if (fault === 'cluster') log.warn(entry, error.message);
  else if (status === 401) log.info(entry, error.message);
  else log.debug(entry, error.message);
}

export function answerError(log: Logger): ErrorHandler<AppEnv> {
  return (thrown, c) => {
    const error = toBrokerError(thrown);
    logError(log, c, error);
    return problemResponse(c, error);
  };
}
