/** The application on a real port: bounds on bodies and headers, disconnects, JSON for what is no valid request. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { type Listener, listen } from '../../api/http/listen.ts';
import { asAlice, createLocalGate, createTestApp } from './api-fixture.ts';

let listener: Listener | undefined;

async function start(gate = createLocalGate(() => ({ state: 'completed', result: { entries: [] } })).gate) {
  listener = await listen({ app: createTestApp(gate), host: '127.0.0.1', port: 0, log: pino({ level: 'silent' }) });
  return `http://127.0.0.1:${listener.port}`;
}

afterEach(async () => {
  await listener?.close(100);
  listener = undefined;
});

/** Sends bytes and gives everything that comes back. */
async function exchange(text: string): Promise<string> {
  const socket = connect(listener?.port ?? 0, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

it('answers over the wire as in-process, with a Content-Length', async () => {
  const base = await start();
  const response = await fetch(`${base}/filesystem/alps/ops/ls?path=/home`, { headers: asAlice });
  expect([response.status, await response.json()]).toEqual([200, { output: [] }]);
  expect(response.headers.get('content-length')).toBe('13');
  expect(response.headers.get('f7t-appversion')).toBe('2.5.7');
});

it('a chunked body is cut off at the bound with 413 in JSON', async () => {
  const base = await start();
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(32_768).fill(0x20)),
  });
  const headers = { ...asAlice, 'content-type': 'application/json' };
  const init = { method: 'POST', body, duplex: 'half', headers } as RequestInit;
  const response = await fetch(`${base}/compute/alps/jobs`, init);
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([413, 'BodyTooLarge']);
});

it('a client that goes away aborts the signal the gate was given', async () => {
  const { gate } = createLocalGate();
  let told: (() => void) | undefined;
  const aborted = new Promise<void>((resolve) => {
    told = resolve;
  });
  const leave = new AbortController();
  const base = await start({
    ...gate,
    acceptAndWait: (_request, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          told?.();
          resolve({ id: 'x', isReplay: false, state: 'pending' });
        });
        leave.abort();
      }),
  });
  await expect(fetch(`${base}/status/systems`, { headers: asAlice, signal: leave.signal })).rejects.toThrow();
  await aborted;
});

it.each([
  ['garbage', 'GARBAGE\r\n\r\n', 'HTTP/1.1 400', 'not valid HTTP'],
  [
    'a huge header',
    `GET /livez HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(40_000)}\r\n\r\n`,
    'HTTP/1.1 431',
    '32768 bytes',
  ],
  [
    'an impossible host',
    'GET /livez HTTP/1.1\r\nHost: a b c\r\nConnection: close\r\n\r\n',
    'HTTP/1.1 400',
    'not valid',
  ],
  ['raw UTF-8', 'GET /x?path=/caf\u00e9 HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP/1.1 400', 'must be percent-encoded'],
])('%s is answered in JSON', async (_name, request, statusLine, text) => {
  await start();
  const answer = await exchange(request);
  expect(answer.startsWith(statusLine)).toBe(true);
  expect(answer).toContain('application/problem+json');
  expect(answer).toContain(text);
});

it('a query with a bare # is refused, since another file would be meant', async () => {
  await start();
  const answer = await exchange(
    'GET /filesystem/alps/ops/ls?path=/home/a#b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nConnection: close\r\n\r\n',
  );
  expect(answer).toContain('HTTP/1.1 400');
  expect(answer).toContain('%23');
});

it('closing lets a held request end first', async () => {
  const { gate } = createLocalGate();
  let finish: (() => void) | undefined;
  let arrived: (() => void) | undefined;
  const isHeld = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const base = await start({
    ...gate,
    acceptAndWait: () =>
      new Promise((resolve) => {
        finish = () => resolve({ id: 'x', isReplay: false, state: 'completed', resultJson: '{"systems":[]}' });
        arrived?.();
      }),
  });
  const response = fetch(`${base}/status/systems`, { headers: asAlice });
  await isHeld;
  const closed = listener?.close(5_000);
  finish?.();
  expect((await response).status).toBe(200);
  await closed;
  await expect(fetch(`${base}/livez`)).rejects.toThrow();
});
