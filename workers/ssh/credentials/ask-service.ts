/**
 * Asks a service for SSH credentials over HTTP. What fails by itself and may pass is SshUnavailable, which the retry
 * policy takes up; a refusal and an answer that cannot be used are SshCredentialsRefused.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { readBoundedText } from '../../../shared/platform/bounded-text.ts';

/** The service, by the name that messages give it. */
export interface CredentialService {
  readonly name: string;
  readonly timeoutMs: number;
}

export interface ServiceRequest {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** The one status of an answer to be used. */
  readonly status: number;
}

/** A key and a certificate are a few KiB. */
const answerBytesMax = 64 * 1024;
const retryAfterSecondsMax = 60;

/** The text of the answer. Neither token nor answer is in any error. */
export async function askService(service: CredentialService, request: ServiceRequest): Promise<string> {
  const response = await send(service, request);
  if (response.status !== request.status) {
    await response.body?.cancel().catch(() => undefined);
    throw refusal(service, response);
  }
  return await readAnswer(service, response);
}

async function send({ name, timeoutMs }: CredentialService, request: ServiceRequest): Promise<Response> {
  try {
    return await fetch(request.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...request.headers },
      body: JSON.stringify(request.body),
      redirect: 'error', // the token is for this address
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (cause) {
    throw unavailable(`The ${name} does not answer.`, cause);
  }
}

function refusal({ name }: CredentialService, response: Response): BrokerError {
  const { status } = response;
  const isPassing = status >= 500 || status === 408 || status === 429;
  if (!isPassing) return unusable(`The ${name} refused to give credentials (status ${status}).`);
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return unavailable(
    `The ${name} cannot give credentials now (status ${status}).`,
    undefined,
    Number.isInteger(seconds) && seconds > 0 ? Math.min(seconds, retryAfterSecondsMax) : undefined,
  );
}

async function readAnswer({ name }: CredentialService, response: Response): Promise<string> {
  try {
    return await readBoundedText(response, answerBytesMax);
  } catch (cause) {
    if (cause instanceof RangeError) throw unusable(`The ${name} answered with more than ${answerBytesMax} bytes.`);
    throw unavailable(`The ${name} broke off its answer.`, cause);
  }
}

function unavailable(message: string, cause?: unknown, retryAfterSeconds?: number): BrokerError {
  return new BrokerError('SshUnavailable', message, {
    cause,
    detail: { sent: false },
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

/** An answer that says no, or that nothing can be made of. */
export function unusable(message: string, cause?: unknown): BrokerError {
  return new BrokerError('SshCredentialsRefused', message, { cause });
}
