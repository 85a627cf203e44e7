/** The webhooks of a broker without its processes: API, store, deliverers and a real receiver over the lab's Redis. */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { v7 as uuidv7 } from 'uuid';
import { afterEach, beforeEach, expect, inject } from 'vitest';
import { createKeptAnswers } from '../../shared/platform/kept-answers.ts';
import type { Meter } from '../../shared/platform/metrics/meter.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { createSealer, type Sealer } from '../../shared/platform/sealing.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { createWebhookStore, type WebhookStore } from '../../shared/platform/webhook-store.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import { type Deliverer, startDeliverer } from '../../workers/webhooks/deliverer.ts';
import { createSsrfGuard } from '../../workers/webhooks/ssrf-guard.ts';
import { createTestApp } from '../unit/api-fixture.ts';
import { alice, bob, by, openTasks, silent, type TaskFixture } from './task-fixture.ts';
import { type Received, type Receiver, startReceiver } from './webhook-receiver.ts';

const completed = { state: 'completed', resultJson: '{"size":1}' } as const;
const sealer = createSealer([{ id: 'k1', key: new Secret(randomBytes(32).toString('base64')) }]);
export const ok = (response: ServerResponse) => response.writeHead(200).end('thanks');

/** As they are in the present test. */
export const hooks = {
  respond: ok as (response: ServerResponse, count: number) => void,
} as {
  tasks: TaskFixture;
  store: WebhookStore;
  receiver: Receiver;
  app: ReturnType<typeof createTestApp>;
  /** What the receiver answers. */
  respond: (response: ServerResponse, count: number) => void;
};
const running: { deliverer: Deliverer; blocking: Redis }[] = [];

/** Before each test everything is new, after each all of it is gone. */
export function useWebhooks(): void {
  beforeEach(async () => {
    hooks.tasks = await openTasks(inject('lab').redis.url);
    hooks.store = createWebhookStore(hooks.tasks.redis, hooks.tasks.keyPrefix);
    hooks.respond = ok;
    hooks.receiver = await startReceiver((response, count) => hooks.respond(response, count));
    hooks.app = createTestApp(hooks.tasks.gate, {
      webhooks: { store: hooks.store, sealer, targets: targets(), endpointsPerUserMax: 3 },
      answers: sealer === null ? null : createKeptAnswers(hooks.tasks.redis, hooks.tasks.keyPrefix, sealer),
      verifyToken: async (token) => (token === 'alice' ? alice : bob),
    });
  });
  afterEach(async () => {
    for (const { deliverer, blocking } of running.splice(0)) {
      await deliverer.stop();
      blocking.disconnect();
    }
    await hooks.receiver.close();
    await hooks.tasks.close();
  });
}

const targets = () => ({ allowHttp: true, ports: [hooks.receiver.port], networks: ['127.0.0.1/32'] });

export function work(over: { giveUpAfterMs?: number; timeoutMs?: number; sealer?: Sealer; meter?: Meter } = {}): void {
  if (sealer === null) throw new Error('no sealer');
  const blocking = connectRedis(inject('lab').redis.url, 'persist', silent);
  const deliverer = startDeliverer({
    ...{
      store: hooks.store,
      sealer,
      blocking,
      redis: hooks.tasks.redis,
      keyPrefix: hooks.tasks.keyPrefix,
      worker: `w${running.length}`,
    },
    guard: createSsrfGuard({ ...targets(), dnsServers: [] }),
    ...{
      timeoutMs: 15_000,
      ca: null,
      proxy: null,
      source: '/',
      baseUrl: 'https://hpc.example',
      giveUpAfterMs: 60_000,
      atOnceMax: 16,
    },
    log: silent,
    ...over,
  });
  running.push({ deliverer, blocking });
}

export type Json = Record<string, unknown> & { id: string; secret: string; publicKey: string };
export async function ask(method: string, path: string, body?: unknown, user = 'alice', key?: string) {
  const response = await hooks.app.request(path, {
    method,
    headers: {
      ...{ authorization: `Bearer ${user}`, 'content-type': 'application/json' },
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (text === '' ? {} : JSON.parse(text)) as Json,
  };
}
export async function endpoint(over: Record<string, unknown> = {}): Promise<Json> {
  const answer = await ask('POST', '/webhooks', { url: hooks.receiver.url, ...over });
  expect(answer.status, answer.text).toBe(201);
  return answer.body;
}
export async function end(of = alice, webhook?: string): Promise<string> {
  const id = uuidv7();
  const owner = principalKey(of);
  await hooks.tasks.store.accept(hooks.tasks.newTask({ id, owner, ...(webhook === undefined ? {} : { webhook }) }));
  await hooks.tasks.store.claim({ id, fence: 0 }, by(`e-${id}`, 'w'));
  await hooks.tasks.store.settle(id, 1, completed);
  return id;
}
export const check = (secret: string, { body, headers }: Received) => new Webhook(secret).verify(body, headers);
export const log = async (id: string) =>
  (await ask('GET', `/webhooks/${id}/deliveries`)).body.deliveries as {
    id: string;
    type: string;
    state: string;
    attempts: { status: number; error: string }[];
    nextAttemptAt: string;
  }[];
