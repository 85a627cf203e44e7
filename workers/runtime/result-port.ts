/**
 * Large results wait in this worker's memory for the API, and never pass through Redis: for the one request that is held for
 * them, or, where nobody waits, for whoever reads the task within a time.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { relayedHeaderPrefix } from '../../shared/operations/operation.ts';
import type { InternalPort } from './internal-port.ts';

/** Time that a held request has to fetch its answer. */
const offeredMs = 60_000;
/** All answers that wait in this worker together for a held request; as many again are kept for who reads them later. */
const bytesTotalMax = 256 * 1024 * 1024;
/** Of what is kept, so much may be one user's. */
export const keptBytesPerOwnerMax = bytesTotalMax / 2;
/** A place is free again when the first of many results has been kept for long enough. */
const retrySeconds = 5;

export interface ResultPort {
  /** Keeps a JSON text and headers of its answer for one fetch and returns the address. Throws QueueFull when too much waits already. */
  offer(text: Buffer, headers?: Readonly<Record<string, string>>): string;
  /**
   * Keeps a JSON text for every fetch within the time and returns the address. Throws QueueFull when too much is kept already, of
   * this owner or of all.
   */
  keep(text: Buffer, owner: string): { url: string; until: number };
}

/** `keepMs`: how long a result is kept that nobody waited for. */
export function createResultPort(port: Pick<InternalPort, 'open' | 'keepOpen'>, keepMs: number): ResultPort {
  let offeredBytes = 0;
  let keptBytes = 0;
  const keptByOwner = new Map<string, number>();
  const countKept = (owner: string, bytes: number): void => {
    keptBytes += bytes;
    const left = (keptByOwner.get(owner) ?? 0) + bytes;
    if (left > 0) keptByOwner.set(owner, left);
    else keptByOwner.delete(owner);
  };
  return {
    offer(text, headers = {}) {
      if (offeredBytes + text.length > bytesTotalMax) throw tooMany('Too many large results wait to be fetched.');
      offeredBytes += text.length;
      const forget = (): void => {
        offeredBytes -= text.length;
      };
      const { url } = port.open(
        'GET',
        offeredMs,
        (_request, response) => {
          response.once('close', forget);
          for (const [name, value] of Object.entries(headers)) response.setHeader(relayedHeaderPrefix + name, value);
          response.writeHead(200, headOf(text)).end(text);
        },
        forget,
      );
      return url;
    },
    keep(text, owner) {
      const isOwnersFull = (keptByOwner.get(owner) ?? 0) + text.length > keptBytesPerOwnerMax;
      if (isOwnersFull || keptBytes + text.length > bytesTotalMax) {
        throw tooMany(
          'Too many large results are kept for those who read them later: hold the request, or ask for less.',
        );
      }
      countKept(owner, text.length);
      const until = Date.now() + keepMs;
      const serve = port.keepOpen(
        keepMs,
        (_request, response) => response.writeHead(200, headOf(text)).end(text),
        () => countKept(owner, -text.length),
      );
      return { url: serve.url, until };
    },
  };
}

function headOf(text: Buffer): Record<string, string | number> {
  return { 'content-type': 'application/json', 'content-length': text.length };
}

function tooMany(message: string): BrokerError {
  return new BrokerError('QueueFull', message, { retryAfterSeconds: retrySeconds });
}
