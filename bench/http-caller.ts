/**
 * An HTTP/1.1 client that does as little as can be, so that it measures the server and not itself: one kept-alive
 * connection per caller, fixed request bytes, an answer read to its end. For loopback only.
 */
import { connect, type Socket } from 'node:net';

export interface HttpCaller {
  /** Resolves when the whole answer is here; rejects unless its status is `status`. */
  call(request: Buffer, status: number): Promise<void>;
  close(): void;
}

/** The bytes of a request. */
export function requestBytes(
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Buffer {
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push(`content-length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`);
}

/** Where an answer ends in the bytes so far, or -1 while it is not complete. */
function endOf(bytes: Buffer): number {
  const head = bytes.indexOf('\r\n\r\n');
  if (head < 0) return -1;
  const text = bytes.toString('latin1', 0, head).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(text)?.[1];
  if (length !== undefined) return bytes.length >= head + 4 + Number(length) ? head + 4 + Number(length) : -1;
  if (!/\r\ntransfer-encoding: *chunked/.test(text)) return head + 4;
  const last = bytes.indexOf('\r\n0\r\n\r\n', head + 2);
  return last < 0 ? -1 : last + 7;
}

export function createHttpCaller(host: string, port: number): HttpCaller {
  let socket: Socket | undefined;
  let pending: { resolve: (answer: Buffer) => void; reject: (error: Error) => void } | undefined;
  let received: Buffer = Buffer.alloc(0);

  const open = (): Socket => {
    const opened = connect({ host, port, noDelay: true });
    opened.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const end = endOf(received);
      if (end < 0) return;
      const answer = received.subarray(0, end);
      received = received.subarray(end);
      pending?.resolve(answer);
      pending = undefined;
    });
    const fail = (error: Error): void => {
      socket = undefined;
      received = Buffer.alloc(0);
      pending?.reject(error);
      pending = undefined;
    };
    opened.on('error', fail);
    opened.on('close', () => fail(new Error('the connection was closed')));
    return opened;
  };

  return {
    async call(request, status) {
      socket ??= open();
      const target = socket;
      const answer = await new Promise<Buffer>((resolve, reject) => {
        pending = { resolve, reject };
        target.write(request);
      });
      const got = Number(answer.toString('latin1', 9, 12));
      if (got !== status) throw new Error(`status ${got}: ${answer.toString('utf8').slice(0, 600)}`);
    },
    close() {
      socket?.destroy();
    },
  };
}
