/** Clients that send a request byte by byte, to hold a connection as long as they can, at a real API process. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { type Broker, createClient, startBroker } from './broker-fixture.ts';

const lab = inject('lab');
let broker: Broker;
let authorization: string;

beforeAll(async () => {
  broker = await startBroker(lab, { scheduler: 'process', workers: 0 });
  authorization = `Authorization: Bearer ${await requestToken(lab.oidc, 'alice')}\r\n`;
});

afterAll(async () => {
  await broker?.stop();
});

/** Sends the beginning, then one more byte each time, until the server ends it. What it said, and after how long. */
async function dribble(beginning: string, more: string): Promise<{ answer: string; tookMs: number }> {
  const startedAt = performance.now();
  const socket = connect(Number(new URL(broker.url).port), '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(beginning);
  const timer = setInterval(() => socket.writable && socket.write(more), 250);
  try {
    await once(socket, 'close');
  } finally {
    clearInterval(timer);
  }
  return { answer: Buffer.concat(chunks).toString(), tookMs: performance.now() - startedAt };
}

const head = (path: string, type: string, length: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\n${authorization}Content-Type: ${type}\r\n${length}\r\n\r\n`;
const upload = '/filesystem/lab/ops/upload?path=/tmp';
const file = '--b\r\nContent-Disposition: form-data; name="fi';

/** What a client begins with, and what it sends on and on. */
const clients: Record<string, [begin: () => string, more: string]> = {
  headers: [() => 'GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ', 'a'],
  'header after header': [() => 'GET /livez HTTP/1.1\r\nHost: x\r\n', 'X-Slow: a\r\n'],
  'a JSON body of declared length': [() => `${head('/tasks', 'application/json', 'Content-Length: 2000')}{`, ' '],
  'a large JSON body': [() => `${head('/tasks', 'application/json', 'Content-Length: 2000000')}{`, ' '],
  'a JSON body in chunks': [() => head('/tasks', 'application/json', 'Transfer-Encoding: chunked'), '1\r\n \r\n'],
  'an upload': [() => `${head(upload, 'multipart/form-data; boundary=b', 'Content-Length: 2000')}${file}`, 'x'],
};

describe('a client that dribbles', () => {
  const dribbles = new Map<string, ReturnType<typeof dribble>>();

  beforeAll(() => {
    for (const [what, [begin, more]] of Object.entries(clients)) dribbles.set(what, dribble(begin(), more));
  });

  it.each(Object.keys(clients))('%s is cut off in time, and told why', async (what) => {
    const { answer, tookMs } = (await dribbles.get(what)) ?? expect.unreachable();
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"RequestTimeout"');
    expect(tookMs).toBeGreaterThan(10_000);
    expect(tookMs).toBeLessThan(60_000);
    expect((await createClient(broker.url, '').get('/livez', { token: null })).status).toBe(200);
  });
});
