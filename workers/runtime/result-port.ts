/** Large answers on their way to a held request: they wait in this worker's memory for the API, and never pass through Redis. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { relayedHeaderPrefix } from '../../shared/operations/operation.ts';
import type { InternalPort } from './internal-port.ts';

/** Time that a held request has to fetch its answer. */
const keptMs = 60_000;
/** All answers that wait in this worker together. */
const bytesTotalMax = 256 * 1024 * 1024;

export interface ResultPort {
  /** Keeps a JSON text and headers of its answer for one fetch and returns the address. Throws QueueFull when too much waits already. */
  offer(text: Buffer, headers?: Readonly<Record<string, string>>): string;
}

export function createResultPort(port: InternalPort): ResultPort {
  let bytesTotal = 0;
  return {
    offer(text, headers = {}) {
      if (bytesTotal + text.length > bytesTotalMax) {
        throw new BrokerError('QueueFull', 'Too many large results wait to be fetched.', { retryAfterSeconds: 5 });
      }
      bytesTotal += text.length;
      const forget = (): void => {
        bytesTotal -= text.length;
      };
      const { url } = port.open(
        'GET',
        keptMs,
        (_request, response) => {
          response.once('close', forget);
          for (const [name, value] of Object.entries(headers)) response.setHeader(relayedHeaderPrefix + name, value);
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text);
        },
        forget,
      );
      return url;
    },
  };
}
