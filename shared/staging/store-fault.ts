/** What an error of the S3 client means to the caller: the store may answer later, or it refuses. */
import { BrokerError } from '../errors/broker-error.ts';

/** The parts of the client's errors that are looked at. */
interface ClientError extends Error {
  $metadata?: { httpStatusCode?: number };
}

/** Whether the store answered with that error name. A HEAD has no body, so 404 stands for any `NotFound`. */
export function hasName(error: unknown, name: string): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === name || (name === 'NotFound' && (error as ClientError).$metadata?.httpStatusCode === 404);
}

/** StagingUnavailable where no answer or a passing fault came, else StagingFailed. The store's words go to the log only. */
export function storeFault(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const status = error instanceof Error ? (error as ClientError).$metadata?.httpStatusCode : undefined;
  const name = error instanceof Error ? error.name : 'unknown';
  const detail = { store: name, status };
  if (status === undefined || status >= 500 || status === 429 || status === 408) {
    const options = { cause: error, detail, retryAfterSeconds: 2 };
    return new BrokerError('StagingUnavailable', 'The staging store does not answer.', options);
  }
  return new BrokerError('StagingFailed', `The staging store refused the request (${name}).`, { cause: error, detail });
}
