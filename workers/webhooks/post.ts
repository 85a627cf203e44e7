/**
 * One POST to an address that the guard admitted: over a connection to just that address, within a time, without
 * following redirects. Of the reply only the status and Retry-After are kept.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Target } from './ssrf-guard.ts';
import { openTunnel } from './tunnel.ts';

export interface PostOptions {
  headers: Record<string, string>;
  body: string;
  /** For the whole exchange. */
  timeoutMs: number;
  /** PEM certificates to trust in place of the usual ones; null: those. */
  ca: string | null;
  /** The proxy through which every connection goes; null: none. */
  proxy: URL | null;
}

export interface PostReply {
  status: number;
  /** What Retry-After asks for; null where it asks for nothing. */
  retryAfterMs: number | null;
}

/** Bytes of a reply that are read, and thrown away, before the connection is cut. */
const replyBytesMax = 64 * 1024;
const replyHeaderBytesMax = 16 * 1024;

/** The reply, whatever its status. Rejects where there is none; tries the addresses in order until one connects. */
export async function post({ url, addresses }: Target, options: PostOptions): Promise<PostReply> {
  const signal = AbortSignal.timeout(options.timeoutMs);
  let failure: unknown;
  for (const address of addresses) {
    try {
      const tunnel = options.proxy === null ? null : await openTunnel(options.proxy, address, portOf(url), signal);
      return await exchange(url, address, options, signal, tunnel);
    } catch (error) {
      failure = error;
      if (signal.aborted) throw new Error(`no reply within ${options.timeoutMs} ms`, { cause: error });
      if (!isConnectFault(error)) throw error;
    }
  }
  throw failure;
}

/** Whether nothing was sent yet, so that another address may be tried. */
function isConnectFault(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall === 'connect' || code === 'ECONNREFUSED';
}

function portOf({ protocol, port }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function exchange(
  url: URL,
  address: string,
  options: PostOptions,
  signal: AbortSignal,
  tunnel: Socket | null,
): Promise<PostReply> {
  const { headers, body, ca } = options;
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const isName = name !== address;
  const common = {
    method: 'POST',
    // The address itself: no name is looked up on the way to it.
    host: address,
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, host: url.host, 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
    maxHeaderSize: replyHeaderBytesMax,
    signal,
  };
  const isTls = url.protocol === 'https:';
  const tls = { ...(isName ? { servername: name } : {}), ...(ca === null ? {} : { ca }) };
  // An agent would make a connection of its own.
  const through =
    tunnel === null
      ? { agent: false as const }
      : { createConnection: () => (isTls ? connectTls({ ...tls, socket: tunnel }) : tunnel) };
  return new Promise((resolve, reject) => {
    const onReply = (reply: IncomingMessage): void => finish(reply, resolve);
    const target = { ...common, ...through, port: portOf(url) };
    const request: ClientRequest = isTls ? httpsRequest({ ...target, ...tls }, onReply) : httpRequest(target, onReply);
    request.on('error', reject);
    request.end(body);
  });
}

/** The status is the answer; the rest is read to its end or to the bound, so that an orderly receiver sees no broken pipe. */
function finish(reply: IncomingMessage, resolve: (reply: PostReply) => void): void {
  const answer = () =>
    resolve({ status: reply.statusCode ?? 0, retryAfterMs: retryAfterOf(reply.headers['retry-after'], Date.now()) });
  let sizeBytes = 0;
  reply.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > replyBytesMax) reply.destroy();
  });
  reply.on('error', () => {}); // cut off, by them or by us: the status was there
  reply.on('close', answer);
}

/** RFC 9110, section 10.2.3: seconds or a date. */
function retryAfterOf(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
