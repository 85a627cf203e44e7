/** After an outage of the receiver: thousands of failed deliveries are made again, of one endpoint, since a time. */
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { createWebhookStore, type WebhookStore } from '../../shared/platform/webhook-store.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import type { Endpoint } from '../../shared/webhooks/endpoint.ts';
import { asAlice, createTestApp, alice as webAlice } from '../unit/api-fixture.ts';
import { openTasks, type TaskFixture } from './task-fixture.ts';

const owner = principalKey(webAlice);
let tasks: TaskFixture;
let store: WebhookStore;
let app: ReturnType<typeof createTestApp>;

beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url);
  store = createWebhookStore(tasks.redis, tasks.keyPrefix);
  const targets = { allowHttp: false, ports: [443], networks: [] };
  app = createTestApp(tasks.gate, { webhooks: { store, sealer: null, targets, endpointsPerUserMax: 20 } });
});
afterEach(() => tasks.close());

const endpointOf = (id: string): Endpoint => ({
  ...{ id, url: 'https://hook.example.org/', description: '', events: [], format: 'standard', scheme: 'v1' },
  ...{ keys: [], publicKey: null, createdAt: 1 },
});

/** Deliveries of an endpoint that were given up. */
async function failed(endpoint: string, from: number, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `${endpoint}_msg_${from + n}`);
  for (let at = 0; at < ids.length; at += 500) {
    const some = ids.slice(at, at + 500);
    const message = JSON.stringify({ type: 'task.completed', timestamp: new Date().toISOString(), data: {} });
    const made = some.map((id) => ({
      id,
      messageId: id,
      owner,
      endpoint,
      target: '',
      type: 'task.completed',
      message,
    }));
    await store.dispatch(made, null);
    const multi = tasks.redis.multi();
    for (const id of some) multi.hset(`${tasks.keyPrefix}:delivery:${id}`, 'state', 'failed');
    await multi.zrem(`${tasks.keyPrefix}:deliveries-due`, ...some).exec();
  }
  return ids;
}

const due = () => tasks.redis.zrange(`${tasks.keyPrefix}:deliveries-due`, '0', '-1');

it('all since a time are made again, however many, and no other', async () => {
  for (const id of ['wh_a', 'wh_b']) await store.add(owner, endpointOf(id), 20);
  const since = Date.now();
  for (const id of await failed('wh_a', 0, 10)) {
    await tasks.redis.zadd(`${tasks.keyPrefix}:deliveries:wh_a`, since - 1, id);
  }
  const wanted = await failed('wh_a', 10, 2_500);
  await failed('wh_b', 0, 10);
  await tasks.redis.del(`${tasks.keyPrefix}:delivery:${wanted[7]}`); // no longer kept
  wanted.splice(7, 1);
  const answer = await app.request('/webhooks/wh_a/redeliver', {
    ...{ method: 'POST', headers: { ...asAlice, 'content-type': 'application/json' } },
    body: JSON.stringify({ since: new Date(since).toISOString() }),
  });
  const { redelivered } = (await answer.json()) as { redelivered: string[] };
  expect([answer.status, new Set(redelivered)]).toEqual([202, new Set(wanted)]);
  expect(new Set(await due())).toEqual(new Set(wanted));
  expect(await store.findDelivery('wh_a', wanted[0] ?? '')).toMatchObject({ state: 'pending', tries: 0 });
  // One that is gone is not brought back in part.
  expect(await tasks.redis.exists(`${tasks.keyPrefix}:delivery:wh_a_msg_17`)).toBe(0);
  const old = await app.request('/webhooks/wh_a/deliveries/wh_a_msg_3/redeliver', { method: 'POST', headers: asAlice });
  expect(await old.json()).toEqual({ redelivered: ['wh_a_msg_3'] });
  expect((await store.deliveries('wh_a')).length).toBe(200);
});
