import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { createHandshakeLease } from '../../workers/runtime/handshake-lease.ts';
import { silent } from './task-fixture.ts';

const noSignal = new AbortController().signal;
const handshakesMax = 8;

let redis: Redis;
beforeAll(() => {
  redis = connectRedis(inject('lab').redis.url, 'persist', silent);
});
afterAll(() => redis.quit());

it('no more handshakes to one host than its bound run at once, over all workers, and everybody gets a turn', async () => {
  const prefix = `test-${randomUUID()}`;
  const workers = [1, 2, 3].map(() => createHandshakeLease(redis, prefix));
  let running = 0;
  let most = 0;
  const logIn = async (worker: number): Promise<void> => {
    const release = await workers[worker]?.acquire('host:22', noSignal);
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 2));
    running -= 1;
    release?.();
  };
  await Promise.all(Array.from({ length: 150 }, (_, number) => logIn(number % workers.length)));
  expect(most).toBeLessThanOrEqual(handshakesMax);
  expect(most).toBeGreaterThan(1);
});

it('those who wait in one process are served in the order in which they came', async () => {
  const lease = createHandshakeLease(redis, `test-${randomUUID()}`);
  const held = await Promise.all(Array.from({ length: handshakesMax }, () => lease.acquire('host:22', noSignal)));
  const served: number[] = [];
  const waiting = Array.from({ length: 40 }, async (_, number) => {
    const release = await lease.acquire('host:22', noSignal);
    served.push(number);
    release();
  });
  const elsewhere = await lease.acquire('other:22', noSignal); // another host's handshakes are no concern of theirs
  expect(served).toEqual([]);
  for (const release of [...held, elsewhere]) release();
  await Promise.all(waiting);
  expect(served).toEqual(Array.from({ length: 40 }, (_, number) => number));
});

it('one who gives up leaves the turn to the next', async () => {
  const lease = createHandshakeLease(redis, `test-${randomUUID()}`);
  const held = await Promise.all(Array.from({ length: handshakesMax }, () => lease.acquire('host:22', noSignal)));
  const leaving = new AbortController();
  const gone = lease.acquire('host:22', leaving.signal).catch((error: Error) => error.name);
  const next = lease.acquire('host:22', noSignal);
  leaving.abort();
  expect(await gone).toBe('AbortError');
  held[0]?.();
  (await next)();
  for (const release of held) release();
});
