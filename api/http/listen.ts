/** Puts the application on a port, with bounds on slow and oversized requests, and JSON for what Node refuses itself. */
import { createServer, type Server, type ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener, RequestError } from '@hono/node-server';
import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import type { AppEnv } from './app-env.ts';
import { problemType } from './problem.ts';

/** Time for a request's headers to arrive, and for the whole request: that of a file over a slow line. JSON has less. */
const headersMs = 15_000;
const requestMs = 3_600_000;
/** How often it is looked for requests that are too slow. */
const slownessMs = 2_000;
/** Longer than the idle time of common gateways (60 s), so that they close first and never meet a closed connection. */
const keepAliveMs = 75_000;
/** How often a draining server looks for connections that have become idle. */
const idleSweepMs = 25;
/**
 * Connections the kernel keeps until we accept them; its own bound is net.core.somaxconn. With Node's 511 a burst of
 * some thousand clients has connections reset.
 */
const backlogMax = 4_096;
/** Room for a path of 4,095 percent-encoded bytes and a long token. */
const headerBytesMax = 32 * 1024;

export interface ListenOptions {
  app: Hono<AppEnv>;
  host: string;
  /** 0: any free port. */
  port: number;
  log: Logger;
}

export interface Listener {
  port: number;
  /** Takes no more connections, lets requests end for up to `drainMs`, then cuts what is left. */
  close(drainMs: number): Promise<void>;
}

function plainProblem(status: number, error: BrokerError, title: string): string {
  const { code, message } = error;
  const firecrest = { errorType: 'error', message, causedBy: null, data: null, user: null };
  return JSON.stringify({
    type: problemType(code),
    title,
    status,
    detail: message,
    code,
    retryable: false,
    ...firecrest,
  });
}

/** Answers what never became a request: bad syntax, headers that are too large or too slow. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return;
  const [status, title, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ([
          431,
          'Request Header Fields Too Large',
          `Address and headers must be at most ${headerBytesMax} bytes.`,
        ] as const)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ([408, 'Request Timeout', 'The request did not arrive in time.'] as const)
        : error.code === 'HPE_INVALID_URL'
          ? ([400, 'Bad Request', 'The address holds characters that must be percent-encoded.'] as const)
          : ([400, 'Bad Request', 'The request is not valid HTTP.'] as const);
  const body = plainProblem(
    status,
    new BrokerError(status === 408 ? 'RequestTimeout' : 'InvalidRequest', message),
    title,
  );
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** The application answers its own errors; this is for what should not happen. */
function answerInternal(log: Logger, thrown: unknown): Response {
  log.error({ err: thrown }, 'the application failed to answer');
  const body = plainProblem(500, toBrokerError(thrown), 'Internal error');
  return new Response(body, { status: 500, headers: { 'content-type': 'application/problem+json' } });
}

function closeServer(server: Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), drainMs);
    // A connection whose request has ended is idle and would be kept for the client's next one.
    const sweep = setInterval(() => server.closeIdleConnections(), idleSweepMs);
    server.close(() => {
      clearTimeout(cut);
      clearInterval(sweep);
      resolve();
    });
  });
}

/** Resolves when the port accepts connections; rejects when it cannot be bound. */
export async function listen({ app, host, port, log }: ListenOptions): Promise<Listener> {
  const handle = getRequestListener((request, env) => app.fetch(request, env), {
    errorHandler(thrown) {
      if (!(thrown instanceof RequestError)) return answerInternal(log, thrown);
      log.info({ err: thrown }, 'request refused');
      const body = plainProblem(
        400,
        new BrokerError('InvalidRequest', 'The address of the request is not valid.'),
        'Bad Request',
      );
      return new Response(body, { status: 400, headers: { 'content-type': 'application/problem+json' } });
    },
  });
  const options: ServerOptions = {
    maxHeaderSize: headerBytesMax,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: slownessMs,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
  };
  const server = createServer(options, (incoming, outgoing) => void handle(incoming, outgoing));
  server.on('clientError', refuseMalformed);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: backlogMax }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server has no port');
  return { port: address.port, close: (drainMs) => closeServer(server, drainMs) };
}
