import { createServer, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createWorkerPort, type WorkerAnswer, type WorkerPort } from '../../api/http/worker-port.ts';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

function listening<S extends Server | TcpServer>(server: S): Promise<{ server: S; port: number }> {
  open.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ server, port: (server.address() as AddressInfo).port }));
  });
}

function newPort(): WorkerPort {
  const port = createWorkerPort();
  open.unshift(port);
  return port;
}

/** A worker that answers each request with what `serve` writes; counts its connections. */
async function worker(serve: (socket: Socket) => void): Promise<{ url: string; connections: () => number }> {
  let connections = 0;
  const { port } = await listening(
    createTcpServer((socket) => {
      connections += 1;
      socket.on('error', () => undefined);
      socket.on('data', () => serve(socket));
    }),
  );
  return { url: `http://127.0.0.1:${port}/once/x`, connections: () => connections };
}

/** What a client gets of an answer that is moved to it, or why there was none; `pauseMs` between its reads. */
async function relayed(answer: WorkerAnswer, onResponse?: (response: ServerResponse) => void): Promise<Buffer | Error> {
  let outcome: Error | null = null;
  const { port } = await listening(
    createServer((_request, response) => {
      onResponse?.(response);
      response.writeHead(200);
      answer.moveTo(response).then(
        () => response.end(),
        (error: Error) => {
          outcome = error;
          response.destroy();
        },
      );
    }),
  );
  return await new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, agent: false }, (message) => {
      const chunks: Buffer[] = [];
      message.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        message.pause();
        setImmediate(() => message.resume()); // no faster than one chunk a turn
      });
      message.on('end', () => resolve(Buffer.concat(chunks)));
      message.on('error', (error) => resolve(outcome ?? error));
    });
    sent.on('error', (error) => resolve(outcome ?? error));
    sent.end();
  });
}

const bytes = Buffer.from(Array.from({ length: 3_000_003 }, (_, at) => (at * 17 + (at >> 10)) % 256));
const head = (length: number): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nResult-Age: 7\r\n\r\n`;

describe('an answer of a worker', () => {
  it('reaches the client byte for byte, whatever pieces it comes in, over one connection for many requests', async () => {
    const sizes = [0, 1, 100, 128 * 1024, 128 * 1024 + 1, bytes.length];
    let next = 0;
    const { url, connections } = await worker((socket) => {
      const body = bytes.subarray(0, sizes[next++]);
      socket.write(head(body.length).slice(0, 20));
      setImmediate(() => {
        socket.write(Buffer.concat([Buffer.from(head(body.length).slice(20)), body.subarray(0, 1_000)]));
        socket.write(body.subarray(1_000));
      });
    });
    const port = newPort();
    for (const size of sizes) {
      const answer = await port.get(url);
      expect([answer.statusCode, answer.headers['result-age']]).toEqual([200, '7']);
      const got = await relayed(answer);
      expect(Buffer.isBuffer(got) && got.equals(bytes.subarray(0, size))).toBe(true);
    }
    expect(connections()).toBe(1);
  });

  it.each([
    ['ends before its last byte', (socket: Socket) => socket.end(head(1_000_000) + 'x'.repeat(500_000))],
    ['is longer than it says', (socket: Socket) => socket.write(`${head(5)}0123456789`)],
    ['does not say how long it is', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nabc')],
  ])('that %s is broken off, never taken for the whole', async (_what, serve) => {
    const { url } = await worker(serve);
    expect(await relayed(await newPort().get(url))).toBeInstanceOf(Error);
  });

  it('that nobody wants, or whose client goes away, leaves nothing for the next request', async () => {
    const { url, connections } = await worker((socket) => socket.write(head(1_000_000) + 'x'.repeat(600_000)));
    const port = newPort();
    (await port.get(url)).drop();
    expect(await relayed(await port.get(url), (response) => response.destroy())).toBeInstanceOf(Error);
    (await port.get(url)).drop();
    expect(connections()).toBe(3);
  });

  it.each([
    ['closes', (socket: Socket) => socket.destroy()],
    ['speaks no HTTP', (socket: Socket) => socket.write('hello\r\n\r\n')],
    ['never ends its headers', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\n'.padEnd(20_000, 'x'))],
  ])('of a worker that %s is none', async (_what, serve) => {
    const { url } = await worker(serve);
    await expect(newPort().get(url)).rejects.toThrow('the worker');
  });
});
