/**
 * The worker's internal HTTP port, where the API comes for what must not pass through Redis. Each address has 256 random
 * bits and is good for a limited time, and for one request unless it is kept open; that is what guards it.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type { Logger } from 'pino';

/** The API keeps connections for its next request. */
const keepAliveMs = 60_000;

export type Serve = (request: IncomingMessage, response: ServerResponse) => void;

export interface InternalPort {
  /** A new address for one request, which `serve` answers. `onExpired` is called when none came within `keptMs`. */
  open(method: 'GET' | 'PUT', keptMs: number, serve: Serve, onExpired?: () => void): OpenAddress;
  /** A new address for every GET within `keptMs`. */
  keepOpen(keptMs: number, serve: Serve, onExpired: () => void): OpenAddress;
  close(): Promise<void>;
}

export interface OpenAddress {
  url: string;
  /** Closes the address; without effect once a request came. */
  withdraw(): void;
}

export interface InternalPortOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Where API processes reach this port; null: the host it binds, or this machine's name where it binds all. */
  url: string | null;
  log: Logger;
}

/** Resolves when the port accepts connections. Rejects when it cannot be bound. */
export async function openInternalPort(options: InternalPortOptions): Promise<InternalPort> {
  const waiting = new Map<string, Serve>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const key = `${request.method} ${request.url}`;
    const serve = waiting.get(key);
    if (serve) serve(request, response);
    else response.writeHead(404).end();
  };
  const server = createServer(answer);
  // Whoever serves it says when the body may come.
  server.on('checkContinue', answer);
  // Only the API comes here; bytes of a slow client may take long.
  server.requestTimeout = 0;
  server.keepAliveTimeout = keepAliveMs;
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const base = options.url ?? `http://${reachableName(options.host)}:${port}`;
  options.log.info({ base }, 'internal port is open');
  const openFor = (isOnce: boolean, method: string, keptMs: number, serve: Serve, onExpired?: () => void) => {
    const path = `/${isOnce ? 'once' : 'kept'}/${randomBytes(32).toString('base64url')}`;
    const key = `${method} ${path}`;
    const withdraw = (): void => {
      clearTimeout(timer);
      waiting.delete(key);
    };
    const timer = setTimeout(() => {
      withdraw();
      onExpired?.();
    }, keptMs);
    timer.unref();
    waiting.set(key, (request, response) => {
      if (isOnce) withdraw();
      serve(request, response);
    });
    return { url: `${base}${path}`, withdraw };
  };
  return {
    open: (method, keptMs, serve, onExpired) => openFor(true, method, keptMs, serve, onExpired),
    keepOpen: (keptMs, serve, onExpired) => openFor(false, 'GET', keptMs, serve, onExpired),
    async close() {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: Server, { host, port }: InternalPortOptions): Promise<void> {
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
