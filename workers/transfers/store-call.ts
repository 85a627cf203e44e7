/** Requests of a relay to the store, whose bodies pass through, and what the store's refusals mean. */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { saysOtherBytes } from '../../shared/staging/held-digest.ts';

export interface StoreCall {
  method: 'GET' | 'PUT';
  headers: Record<string, string | number>;
  signal: AbortSignal;
}

/** Of bytes that came to the store, and not as they were. */
export const otherBytes = 'The store has not what was sent.';

/** Whether that is what a part failed with. */
export function areOtherBytes(error: unknown): boolean {
  return error instanceof BrokerError && error.message === otherBytes;
}

/** Without a byte for so long, a store is taken for dead. */
const silenceMs = 30_000;
/** Characters of a refusal that are read. */
const saidMax = 4_096;

/** A request of which the head goes at once. `answer` rejects unless the store took it; an abort rejects with its reason. */
export function callStore(url: string, { method, headers, signal }: StoreCall) {
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  const body = request(url, { method, headers, signal });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    body.setTimeout(silenceMs, () => body.destroy(new Error('the store is silent')));
    body.on('error', (error) => reject(signal.aborted ? signal.reason : passing('The store does not answer.', error)));
    body.on('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status === 200 || status === 206) resolve(response);
      else
        refusal(status, url, response)
          .then(reject, reject)
          .finally(() => body.destroy());
    });
  });
  answer.catch(() => undefined); // told to who waits for it
  return { body, answer };
}

async function refusal(status: number, url: string, answer: IncomingMessage): Promise<BrokerError> {
  if (status === 400 && saysOtherBytes(await beginningOf(answer))) return passing(otherBytes);
  if (status === 403 && hasRunOut(url)) return passing('The address of a part ran out before it was used.');
  if (status >= 500 || status === 429 || status === 408) return passing(`The staging store answered ${status}.`);
  return new BrokerError('TransferFailed', `The staging store refused a part with status ${status}.`);
}

/** As much of it as says why; empty where it does not come. */
async function beginningOf(answer: IncomingMessage): Promise<string> {
  let said = '';
  try {
    for await (const chunk of answer) {
      said += (chunk as Buffer).toString('latin1');
      if (said.length > saidMax) break;
    }
  } catch {
    // The status has to do.
  }
  return said;
}

/** Whether the time of a signed address is up, as it says itself. */
function hasRunOut(url: string): boolean {
  const { searchParams } = new URL(url);
  const signed = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(searchParams.get('X-Amz-Date') ?? '');
  if (signed === null) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = signed.slice(1).map(Number);
  const signedAt = Date.UTC(year, month - 1, day, hour, minute, second);
  return Date.now() >= signedAt + Number(searchParams.get('X-Amz-Expires')) * 1_000;
}

export function passing(message: string, cause?: unknown): BrokerError {
  return new BrokerError('StagingUnavailable', message, { cause, retryAfterSeconds: 2 });
}

/** Its body is of no interest. */
export async function drained(answer: IncomingMessage): Promise<IncomingMessage> {
  for await (const _chunk of answer);
  return answer;
}
