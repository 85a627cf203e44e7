/**
 * Large results on their way to a held request: they wait in this worker's memory for the API to fetch them over HTTP,
 * and never pass through Redis. A result is fetched once, with an address that nobody can guess, within a minute.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';

/** Time that a held request has to fetch its result. */
const keptMs = 60_000;
/** All results that wait in this worker together. */
const bytesTotalMax = 256 * 1024 * 1024;

export interface ResultPort {
  /** Keeps a text for one fetch and returns its address. Throws QueueFull when too much waits already. */
  offer(text: string): string;
  close(): Promise<void>;
}

export interface ResultPortOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Where API processes reach this port; null: the host it binds, or this machine's name where it binds all. */
  url: string | null;
  log: Logger;
}

/** Opens the port. Rejects when it cannot be bound. */
export async function openResultPort(options: ResultPortOptions): Promise<ResultPort> {
  const waiting = new Map<string, { text: Buffer; timer: NodeJS.Timeout }>();
  let bytesTotal = 0;
  const take = (reference: string): Buffer | undefined => {
    const found = waiting.get(reference);
    if (!found) return undefined;
    clearTimeout(found.timer);
    waiting.delete(reference);
    bytesTotal -= found.text.length;
    return found.text;
  };
  const server = createServer((request, response) => {
    const reference = /^\/results\/([A-Za-z0-9_-]{43})$/.exec(request.url ?? '')?.[1];
    const text = request.method === 'GET' && reference !== undefined ? take(reference) : undefined;
    if (text === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text);
  });
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const base = options.url ?? `http://${reachableName(options.host)}:${port}`;
  options.log.info({ base }, 'results are handed out');
  return {
    offer(content) {
      const text = Buffer.from(content);
      if (bytesTotal + text.length > bytesTotalMax) {
        throw new BrokerError('QueueFull', 'Too many large results wait to be fetched.', { retryAfterSeconds: 5 });
      }
      const reference = randomBytes(32).toString('base64url');
      const timer = setTimeout(() => take(reference), keptMs);
      timer.unref();
      waiting.set(reference, { text, timer });
      bytesTotal += text.length;
      return `${base}/results/${reference}`;
    },
    async close() {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: Server, { host, port }: ResultPortOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function reachableName(host: string): string {
  if (host === '0.0.0.0' || host === '::') return hostname();
  return host.includes(':') ? `[${host}]` : host;
}
