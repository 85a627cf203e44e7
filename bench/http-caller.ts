/**
 * An HTTP/1.1 client that does as little as can be, so that it measures the server and not itself: one kept-alive
 * connection per caller, fixed request bytes, an answer read to its end. For loopback only.
 */
import { connect, type Socket } from 'node:net';

export interface HttpCaller {
  /** Resolves when the whole answer is here; rejects unless its status is `status`. */
  call(request: Buffer, status: number): Promise<void>;
  /** As `call`; gives the body as text. */
  read(request: Buffer, status: number): Promise<string>;
  close(): void;
}

/** The bytes of a request. */
export function requestBytes(
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body?: string | Buffer,
): Buffer {
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push(`content-length: ${Buffer.byteLength(body)}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(body ?? '')]);
}

/** Bytes of the answer that has begun, headers included; null while that is not known. Throws for one without a length. */
function lengthOf(bytes: Buffer): number | null {
  const head = bytes.indexOf('\r\n\r\n');
  if (head < 0) return null;
  const text = bytes.toString('latin1', 0, head).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(text)?.[1];
  if (length === undefined && /\r\ntransfer-encoding:/.test(text)) throw new Error('an answer without Content-Length');
  return head + 4 + Number(length ?? 0);
}

export function createHttpCaller(host: string, port: number): HttpCaller {
  let socket: Socket | undefined;
  let pending: { resolve: (head: Buffer) => void; reject: (error: Error) => void; isRead: boolean } | undefined;
  // The first chunks, until the length is known; what follows is counted, and dropped unless the body is to be read.
  let begin: Buffer = Buffer.alloc(0);
  let expected: number | null = null;
  let received = 0;
  let rest: Buffer[] = [];

  const reset = (): void => {
    begin = Buffer.alloc(0);
    rest = [];
    expected = null;
    received = 0;
    pending = undefined;
  };

  const open = (): Socket => {
    const opened = connect({ host, port, noDelay: true });
    opened.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (expected === null) {
        begin = begin.length === 0 ? chunk : Buffer.concat([begin, chunk]);
        expected = lengthOf(begin);
      } else if (pending?.isRead) rest.push(chunk);
      if (expected === null || received < expected) return;
      const answer = rest.length === 0 ? begin : Buffer.concat([begin, ...rest]);
      const asked = pending;
      reset();
      asked?.resolve(answer);
    });
    const fail = (error: Error): void => {
      socket = undefined;
      const asked = pending;
      reset();
      asked?.reject(error);
    };
    opened.on('error', fail);
    opened.on('close', () => fail(new Error('the connection was closed')));
    return opened;
  };

  const exchange = async (request: Buffer, status: number, isRead: boolean): Promise<Buffer> => {
    socket ??= open();
    const target = socket;
    const answer = await new Promise<Buffer>((resolve, reject) => {
      pending = { resolve, reject, isRead };
      target.write(request);
    });
    const got = Number(answer.toString('latin1', 9, 12));
    if (got !== status) throw new Error(`status ${got}: ${answer.toString('utf8').slice(0, 600)}`);
    return answer;
  };

  return {
    async call(request, status) {
      await exchange(request, status, false);
    },
    async read(request, status) {
      const answer = await exchange(request, status, true);
      return answer.toString('utf8', answer.indexOf('\r\n\r\n') + 4);
    },
    close() {
      socket?.destroy();
    },
  };
}
