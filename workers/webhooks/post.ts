/**
 * One POST to an address that the guard admitted: over a connection to just that address, within a time, without
 * following redirects. Of the reply only the status and Retry-After are kept.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Target } from './ssrf-guard.ts';

export interface PostOptions {
  headers: Record<string, string>;
  body: string;
  /** For the whole exchange. */
  timeoutMs: number;
  /** PEM certificates to trust in place of the usual ones; null: those. */
  ca: string | null;
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
      return await exchange(url, address, options, signal);
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

function exchange(url: URL, address: string, options: PostOptions, signal: AbortSignal): Promise<PostReply> {
  const { headers, body, ca } = options;
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const isName = name !== address;
  const common = {
    method: 'POST',
    // The address itself: no name is looked up on the way to it.
    host: address,
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, host: url.host, 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
    agent: false as const,
    maxHeaderSize: replyHeaderBytesMax,
    signal,
  };
  return new Promise((resolve, reject) => {
    const onReply = (reply: IncomingMessage): void => finish(reply, resolve);
    const request: ClientRequest =
      url.protocol === 'https:'
        ? httpsRequest(
            {
              ...common,
              port: url.port === '' ? 443 : Number(url.port),
              ...(isName ? { servername: name } : {}),
              ...(ca === null ? {} : { ca }),
            },
            onReply,
          )
        : httpRequest({ ...common, port: url.port === '' ? 80 : Number(url.port) }, onReply);
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
