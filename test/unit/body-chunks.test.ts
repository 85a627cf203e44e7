/** A body that comes too slowly is given up, however it is spread out; time in which nobody asked does not count. */
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type BodyChunks, readChunks } from '../../api/http/body-chunks.ts';

const idleMs = 30_000;
let request: PassThrough;
let body: BodyChunks;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  request = new PassThrough();
  body = readChunks(request as unknown as IncomingMessage, idleMs);
});
afterEach(() => {
  vi.useRealTimers();
});

/** Resolves when what was written has come to who reads. */
const arrived = () => new Promise((resolve) => setImmediate(resolve));

async function readAll(): Promise<number> {
  let sizeBytes = 0;
  for await (const chunk of body) sizeBytes += chunk.length;
  return sizeBytes;
}

async function sendEvery(ms: number, bytes: number, times: number): Promise<void> {
  for (let sent = 0; sent < times; sent += 1) {
    request.write(Buffer.alloc(bytes));
    await arrived();
    await vi.advanceTimersByTimeAsync(ms);
  }
}

it('single bytes, each in time, do not hold it open', async () => {
  const end = expect(readAll()).rejects.toMatchObject({ code: 'RequestTimeout', message: /Less than 4096 bytes/ });
  await sendEvery(1_000, 1, 31);
  await end;
});

it('a silence is the same', async () => {
  const end = expect(readAll()).rejects.toMatchObject({ code: 'RequestTimeout' });
  await vi.advanceTimersByTimeAsync(idleMs);
  await end;
});

it('a slow line that moves may take hours', async () => {
  const end = readAll();
  await sendEvery(20_000, 4_096, 500);
  request.end();
  expect(await end).toBe(500 * 4_096);
});

it('the time of who reads slowly is not the client’s', async () => {
  const chunks = body[Symbol.asyncIterator]();
  request.write('a');
  await arrived();
  expect((await chunks.next()).value?.toString()).toBe('a');
  await vi.advanceTimersByTimeAsync(10 * idleMs);
  const next = chunks.next();
  request.write('b');
  await arrived();
  expect((await next).value?.toString()).toBe('b');
});
