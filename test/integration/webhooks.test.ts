import { createPublicKey, randomBytes, verify } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { v7 as uuidv7 } from 'uuid';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { outboxKey } from '../../shared/platform/event-script.ts';
import { createEventStore } from '../../shared/platform/event-store.ts';
import { createKeptAnswers } from '../../shared/platform/kept-answers.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { createSealer, type Sealer } from '../../shared/platform/sealing.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { createWebhookStore, type WebhookStore } from '../../shared/platform/webhook-store.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import { type Deliverer, startDeliverer } from '../../workers/webhooks/deliverer.ts';
import { createSsrfGuard } from '../../workers/webhooks/ssrf-guard.ts';
import { eventually } from '../eventually.ts';
import { createTestApp } from '../unit/api-fixture.ts';
import { alice, bob, by, openTasks, silent, type TaskFixture } from './task-fixture.ts';
import { type Received, type Receiver, startReceiver } from './webhook-receiver.ts';

const completed = { state: 'completed', resultJson: '{"size":1}' } as const;
const sealer = createSealer([{ id: 'k1', key: new Secret(randomBytes(32).toString('base64')) }]);
const ok = (response: ServerResponse) => response.writeHead(200).end('thanks');

let tasks: TaskFixture;
let store: WebhookStore;
let receiver: Receiver;
let app: ReturnType<typeof createTestApp>;
let running: { deliverer: Deliverer; blocking: Redis }[];
let respond: (response: ServerResponse, count: number) => void;

beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url);
  store = createWebhookStore(tasks.redis, tasks.keyPrefix);
  respond = ok;
  receiver = await startReceiver((response, count) => respond(response, count));
  running = [];
  app = createTestApp(tasks.gate, {
    webhooks: { store, sealer, targets: targets(), endpointsPerUserMax: 3 },
    answers: sealer === null ? null : createKeptAnswers(tasks.redis, tasks.keyPrefix, sealer),
    verifyToken: async (token) => (token === 'alice' ? alice : bob),
  });
});
afterEach(async () => {
  for (const { deliverer, blocking } of running) {
    await deliverer.stop();
    blocking.disconnect();
  }
  await receiver.close();
  await tasks.close();
});

const targets = () => ({ allowHttp: true, ports: [receiver.port], networks: ['127.0.0.1/32'] });

function work(over: { giveUpAfterMs?: number; timeoutMs?: number; sealer?: Sealer } = {}): void {
  if (sealer === null) throw new Error('no sealer');
  const blocking = connectRedis(inject('lab').redis.url, 'persist', silent);
  const deliverer = startDeliverer({
    ...{ store, sealer, blocking, redis: tasks.redis, keyPrefix: tasks.keyPrefix, worker: `w${running.length}` },
    guard: createSsrfGuard({ ...targets(), dnsServers: [] }),
    ...{
      timeoutMs: 2_000,
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

type Json = Record<string, unknown> & { id: string; secret: string; publicKey: string };
async function ask(method: string, path: string, body?: unknown, user = 'alice', key?: string) {
  const response = await app.request(path, {
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
async function endpoint(over: Record<string, unknown> = {}): Promise<Json> {
  const answer = await ask('POST', '/webhooks', { url: receiver.url, ...over });
  expect(answer.status, answer.text).toBe(201);
  return answer.body;
}
async function end(of = alice, webhook?: string): Promise<string> {
  const id = uuidv7();
  const owner = principalKey(of);
  await tasks.store.accept(tasks.newTask({ id, owner, ...(webhook === undefined ? {} : { webhook }) }));
  await tasks.store.claim({ id, fence: 0 }, by(`e-${id}`, 'w'));
  await tasks.store.settle(id, 1, completed);
  return id;
}
const check = (secret: string, { body, headers }: Received) => new Webhook(secret).verify(body, headers);
const log = async (id: string) =>
  (await ask('GET', `/webhooks/${id}/deliveries`)).body.deliveries as {
    id: string;
    type: string;
    state: string;
    attempts: { status: number; error: string }[];
    nextAttemptAt: string;
  }[];

describe('the outbox', () => {
  it('has a row of each event of an owner with endpoints, written with the state, and none of others', async () => {
    await end();
    expect(await tasks.redis.exists(outboxKey(tasks.keyPrefix))).toBe(0);
    await endpoint();
    await end();
    await end(bob);
    expect(await tasks.redis.xlen(outboxKey(tasks.keyPrefix))).toBe(3);
  });

  it('keeps what happened while no worker was there, and is empty when it was told', async () => {
    const { secret } = await endpoint();
    const ids = await Promise.all(Array.from({ length: 20 }, () => end()));
    work();
    work();
    const received = await receiver.until(20);
    const told = received.map((one) => check(secret, one) as { data: { taskId: string } });
    expect(told.map(({ data }) => data.taskId).sort()).toEqual(ids.sort());
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(20);
    await eventually(async () => expect(await tasks.redis.xlen(outboxKey(tasks.keyPrefix))).toBe(0));
  });

  it('gives the row of a worker that died to another one', async () => {
    const { secret } = await endpoint();
    await end();
    const stream = outboxKey(tasks.keyPrefix);
    await tasks.redis.xgroup('CREATE', stream, 'deliver', '0');
    await tasks.redis.xreadgroup('GROUP', 'deliver', 'dead', 'COUNT', 10, 'STREAMS', stream, '>');
    const pending = (await tasks.redis.xpending(stream, 'deliver', '-', '+', 10)) as [string][];
    for (const [id] of pending) await tasks.redis.xclaim(stream, 'deliver', 'dead', 0, id, 'IDLE', 60_000);
    work();
    const [first] = await receiver.until(1);
    expect(check(secret, first as Received)).toMatchObject({ type: 'task.completed' });
  });
});

describe('a webhook', () => {
  it('is told of an end by a message that the reference library takes, within moments', async () => {
    work();
    const { secret } = await endpoint();
    const id = await end();
    const endedAt = Date.now();
    const [one] = await receiver.until(1);
    expect((one as Received).at - endedAt).toBeLessThan(5_000);
    expect(check(secret, one as Received)).toEqual({
      type: 'task.completed',
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      data: {
        ...{ taskId: id, sequence: 3, operation: 'filesystem.stat', system: 'lab', attempt: 1 },
        ...{ step: null, errorCode: null },
        url: `https://hpc.example/tasks/${id}`,
      },
    });
    expect((one as Received).headers).toMatchObject({
      'webhook-id': `msg_${id}_3`,
      'content-type': 'application/json',
    });
    expect(() => check('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', one as Received)).toThrow();
  });

  it('with v1a is checked with a public key alone', async () => {
    work();
    const { publicKey, secret } = await endpoint({ signature: 'v1a' });
    expect([secret, publicKey]).toEqual([null, expect.stringMatching(/^whpk_/)]);
    await end();
    const [one] = await receiver.until(1);
    const { headers, body } = one as Received;
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey.slice(5), 'base64').toString('base64url') },
      format: 'jwk',
    });
    const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
    const signature = headers['webhook-signature'] ?? '';
    expect(signature).toMatch(/^v1a,/);
    expect(verify(null, signed, key, Buffer.from(signature.slice(4), 'base64'))).toBe(true);
  });

  it('signs with both keys while one takes the place of the other', async () => {
    work();
    const { id, secret: old } = await endpoint();
    const rotated = await ask('POST', `/webhooks/${id}/rotate`, { overlapSeconds: 60 });
    await end();
    const [one] = await receiver.until(1);
    check(old, one as Received);
    check(rotated.body.secret, one as Received);
    const last = await ask('POST', `/webhooks/${id}/rotate`, { overlapSeconds: 0 });
    await end();
    const two = (await receiver.until(2))[1] as Received;
    check(last.body.secret, two);
    expect(() => check(rotated.body.secret, two)).toThrow();
  });

  it('may be a CloudEvent', async () => {
    work();
    const { secret } = await endpoint({ format: 'cloudevents', events: ['task.started'] });
    const id = await end();
    const [one] = await receiver.until(1);
    expect((one as Received).headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(check(secret, one as Received)).toMatchObject({
      ...{ specversion: '1.0', id: `msg_${id}_2`, source: '/', type: 'task.started', subject: id },
    });
  });

  it('that fails is tried again with the same id and a new time, and the log says what came of it', async () => {
    work();
    const { id, secret } = await endpoint();
    respond = (response, count) => response.writeHead(count === 1 ? 503 : 204).end();
    await end();
    await receiver.until(1);
    await eventually(async () =>
      expect((await log(id))[0]).toMatchObject({ state: 'pending', attempts: [{ status: 503 }] }),
    );
    await tasks.redis.zadd(`${tasks.keyPrefix}:deliveries-due`, 0, (await log(id))[0]?.id ?? '');
    const [first, second] = await receiver.until(2);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    check(secret, second as Received);
    await eventually(async () =>
      expect((await log(id))[0]).toMatchObject({
        state: 'delivered',
        attempts: [{ status: 503 }, { status: 204, error: null }],
      }),
    );
  });

  it('waits as long as the receiver asks', async () => {
    work();
    const { id } = await endpoint();
    respond = (response) => response.writeHead(429, { 'retry-after': '3600' }).end();
    await end();
    await eventually(async () => expect((await log(id))[0]?.attempts).toHaveLength(1));
    expect(Date.parse((await log(id))[0]?.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(3_500_000);
  });

  it('that redirects has failed, and nobody follows', async () => {
    work();
    const { id } = await endpoint();
    respond = (response) => response.writeHead(307, { location: receiver.url }).end();
    await end();
    await eventually(async () =>
      expect((await log(id))[0]).toMatchObject({ state: 'pending', attempts: [{ status: 307 }] }),
    );
    expect(receiver.received).toHaveLength(1);
  });

  it('that answers 410 is disabled, and hears no more until its owner says so', async () => {
    work();
    const { id } = await endpoint();
    respond = (response) => response.writeHead(410).end();
    await end();
    await eventually(async () =>
      expect((await ask('GET', `/webhooks/${id}`)).body).toMatchObject({ enabled: false, disabledReason: 'gone' }),
    );
    await end();
    await eventually(async () => expect(await tasks.redis.xlen(outboxKey(tasks.keyPrefix))).toBe(0));
    expect(receiver.received).toHaveLength(1);
    expect((await log(id)).filter(({ state }) => state === 'noted')).toMatchObject([{ type: 'webhook.disabled' }]);
    respond = ok;
    await ask('PATCH', `/webhooks/${id}`, { enabled: true });
    await end();
    await receiver.until(2);
  });

  it('whose secret the service cannot open is not to blame: it stays, and its owner reads why', async () => {
    const other = createSealer([{ id: 'k2', key: new Secret(randomBytes(32).toString('base64')) }]);
    work({ giveUpAfterMs: 0, ...(other === null ? {} : { sealer: other }) });
    const { id } = await endpoint();
    await end();
    await eventually(async () => expect((await log(id))[0]?.attempts[0]?.error).toMatch(/bring back a sealing key$/));
    expect((await log(id))[0]).toMatchObject({ state: 'pending' });
    expect((await ask('GET', `/webhooks/${id}`)).body).toMatchObject({ enabled: true, failingSince: null });
    expect(receiver.received).toEqual([]);
  });

  it('that fails for too long is disabled, which its log, its owner’s stream and other webhooks tell once', async () => {
    work({ giveUpAfterMs: 0 });
    const { id } = await endpoint();
    const { secret } = await endpoint({ url: `${receiver.url}/other`, events: ['webhook.disabled'] });
    respond = (response) => response.writeHead(response.req.url?.endsWith('/other') ? 204 : 500).end();
    const told = () => receiver.received.filter(({ body }) => body.includes('webhook.disabled'));
    const facts = (sequence: number) => ({ webhookId: id, sequence, reason: 'failing' });
    await Promise.all([end(), end()]);
    await eventually(async () => expect((await ask('GET', `/webhooks/${id}`)).body.disabledReason).toBe('failing'));
    await eventually(async () => expect(told()).toHaveLength(1));
    expect(check(secret, told()[0] as Received)).toEqual({
      ...{ type: 'webhook.disabled', timestamp: expect.stringMatching(/Z$/) },
      data: { ...facts(1), failingSince: expect.stringMatching(/Z$/), url: `https://hpc.example/webhooks/${id}` },
    });
    const notes = async () => (await log(id)).filter(({ state }) => state === 'noted');
    await eventually(async () => expect(await notes()).toMatchObject([{ type: 'webhook.disabled', attempts: [] }]));

    await ask('PATCH', `/webhooks/${id}`, { enabled: true });
    await eventually(async () => expect((await log(id)).some(({ state }) => state === 'pending')).toBe(true));
    const all = { since: new Date(0).toISOString(), onlyFailed: false };
    const again = (await ask('POST', `/webhooks/${id}/redeliver`, all)).body.redelivered as string[];
    expect(again).not.toContain((await notes())[0]?.id);
    await eventually(async () => expect(told()).toHaveLength(2));
    expect(told().map(({ headers }) => headers['webhook-id'])).toEqual([`msg_${id}_1`, `msg_${id}_2`]);
    const events = await createEventStore(tasks.redis, tasks.keyPrefix).read(principalKey(alice), '0-0', 100);
    expect(events.filter(({ type }) => type === 'webhook.disabled')).toMatchObject([facts(1), facts(2)]);
  });

  it('is told again what its owner wants told again, one or all since a time, and a test', async () => {
    work();
    const { id, secret } = await endpoint();
    await end();
    await receiver.until(1);
    await eventually(async () => expect((await log(id))[0]?.state).toBe('delivered'));
    const delivery = (await log(id))[0]?.id ?? '';
    expect((await ask('POST', `/webhooks/${id}/deliveries/${delivery}/redeliver`)).status).toBe(202);
    const [first, second] = await receiver.until(2);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    await eventually(async () => expect((await log(id))[0]).toMatchObject({ state: 'delivered', attempts: [{}, {}] }));
    const since = new Date(0).toISOString();
    expect((await ask('POST', `/webhooks/${id}/redeliver`, { since })).body).toEqual({ redelivered: [] });
    expect((await ask('POST', `/webhooks/${id}/redeliver`, { since, onlyFailed: false })).body).toEqual({
      redelivered: [delivery],
    });
    await receiver.until(3);
    await ask('POST', `/webhooks/${id}/test`);
    expect(check(secret, (await receiver.until(4))[3] as Received)).toMatchObject({ type: 'webhook.test' });
  });

  it('is its owner’s alone, bounded in number, and its secret is shown once and kept sealed', async () => {
    const { id, secret } = await endpoint();
    for (const path of [`/webhooks/${id}`, `/webhooks/${id}/deliveries`])
      expect((await ask('GET', path, undefined, 'bob')).status).toBe(404);
    expect((await ask('DELETE', `/webhooks/${id}`, undefined, 'bob')).status).toBe(404);
    expect((await ask('GET', `/webhooks/${id}`)).text).not.toContain(secret.slice(6));
    const kept = await tasks.redis.hgetall(`${tasks.keyPrefix}:hooks:${principalKey(alice)}`);
    expect(JSON.stringify(kept)).not.toContain(secret.slice(6));
    await endpoint();
    await endpoint();
    expect((await ask('POST', '/webhooks', { url: receiver.url })).body.code).toBe('TooManyWebhooks');
    expect((await ask('DELETE', `/webhooks/${id}`)).status).toBe(204);
    expect((await ask('GET', '/webhooks')).body.webhooks).toHaveLength(2);
  });

  it('is made, given a key, tested and told again once for each idempotency key, which keeps its secret sealed', async () => {
    const make = (key: string, user = 'alice', over = {}) =>
      ask('POST', '/webhooks', { url: receiver.url, ...over }, user, key);
    const first = await make('a');
    const again = await make('a');
    expect([again.status, again.body]).toEqual([201, first.body]);
    expect([first, again].map(({ headers }) => headers.get('idempotency-key-reply'))).toEqual(['miss', 'hit']);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect((await make('a', 'alice', { description: 'x' })).body.code).toBe('IdempotencyMismatch');
    const submission = { operation: 'status.systems' };
    expect((await ask('POST', '/tasks', submission, 'alice', 'a')).body.code).toBe('IdempotencyMismatch');
    await ask('POST', '/tasks', submission, 'alice', 'b');
    expect((await make('b')).body.code).toBe('IdempotencyMismatch');
    expect((await make('a', 'bob')).headers.get('idempotency-key-reply')).toBe('miss');
    for (const name of await tasks.redis.keys(`${tasks.keyPrefix}:answer:*`)) {
      expect(await tasks.redis.get(name)).not.toContain(first.body.secret.slice(6));
    }

    const { id, secret } = first.body;
    const rotate = () => ask('POST', `/webhooks/${id}/rotate`, { overlapSeconds: 60 }, 'alice', 'r');
    const [rotated, repeated] = [await rotate(), await rotate()];
    expect(repeated.body.secret).toBe(rotated.body.secret);
    work();
    const tests = [1, 2].map(() => ask('POST', `/webhooks/${id}/test`, undefined, 'alice', 't'));
    const statuses = (await Promise.all(tests)).map(({ status }) => status).sort();
    expect([
      [202, 202],
      [202, 409],
    ]).toContainEqual(statuses);
    check(secret, (await receiver.until(1))[0] as Received); // the key before the first rotation still signs
    check(rotated.body.secret, receiver.received[0] as Received);
    await eventually(async () => expect(await log(id)).toMatchObject([{ state: 'delivered' }]));

    await tasks.redis.set(`${tasks.keyPrefix}:answer:${principalKey(alice)}:a`, 'gone.AAAA', 'XX');
    expect((await make('a')).body.code).toBe('TaskExpired'); // and no second one

    const refused = await make('c', 'alice', { url: 'https://169.254.169.254/' });
    expect([refused.status, (await make('c')).status]).toEqual([400, 201]); // what was refused takes no key
  });

  it.each([
    [{ url: 'https://169.254.169.254/' }, 'WebhookNotAllowed'],
    [{ url: 5 }, 'InvalidRequest'],
    [{ url: 'https://example.org/', events: ['nope'] }, 'InvalidRequest'],
    [{ url: 'https://example.org/', secret: 'x' }, 'InvalidRequest'],
  ])('%j is refused', async (body, code) => {
    expect((await ask('POST', '/webhooks', body)).body.code).toBe(code);
  });
});

describe('an address that a task names', () => {
  const secret = `whsec_${randomBytes(24).toString('base64')}`;

  it('hears of its end and of nothing else, signed with the secret that came with it, which is kept sealed', async () => {
    work();
    const answer = await ask('POST', '/tasks', { operation: 'status.systems', webhook: { url: receiver.url, secret } });
    expect(answer.status, answer.text).toBe(202);
    expect(JSON.stringify(await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${answer.body.id}`))).not.toContain(
      secret.slice(6),
    );
    await ask('DELETE', `/tasks/${answer.body.id}`);
    const [one] = await receiver.until(1);
    expect(check(secret, one as Received)).toMatchObject({
      ...{ type: 'task.canceled', data: { taskId: answer.body.id, errorCode: 'TaskCanceled' } },
    });
  });

  it('may be named by headers on any route of FirecREST, of a read that is held too', async () => {
    work();
    const headers = {
      authorization: 'Bearer alice',
      'goldcrest-webhook': receiver.url,
      'goldcrest-webhook-secret': secret,
    };
    const path = '/filesystem/alps/ops/stat?path=/home/gcalice';
    const answer = await app.request(path, { headers: { ...headers, prefer: 'respond-async' } });
    const { id } = (await answer.json()) as Json;
    await ask('DELETE', `/tasks/${id}`);
    expect(check(secret, (await receiver.until(1))[0] as Received)).toMatchObject({ data: { taskId: id } });
    const held = app.request(path, { headers: { ...headers, prefer: 'wait=1' } });
    expect((await held).status).toBe(408);
    const told = check(secret, (await receiver.until(2))[1] as Received) as { type: string; data: { taskId: string } };
    expect(told.type).toBe('task.canceled');
    expect((await ask('GET', `/tasks/${told.data.taskId}`)).body).toMatchObject({ state: 'canceled' });
    const refused = async (changed: Record<string, string>) =>
      ((await (await app.request(path, { headers: { ...headers, ...changed } })).json()) as { code: string }).code;
    expect(await refused({ 'goldcrest-webhook': 'https://169.254.169.254/' })).toBe('WebhookNotAllowed');
    expect(await refused({ 'goldcrest-webhook-secret': 'whsec_x' })).toBe('InvalidRequest');
  });

  it('is refused where it may not be told', async () => {
    const post = (webhook: unknown) => ask('POST', '/tasks', { operation: 'status.systems', webhook });
    expect((await post({ url: 'http://10.0.0.1/', secret })).body.code).toBe('WebhookNotAllowed');
    expect((await post({ url: receiver.url, secret: 'short' })).body.code).toBe('InvalidRequest');
    expect((await post({ url: receiver.url })).body.code).toBe('InvalidRequest');
  });
});

it('an attempt whose worker was lost is made again by another, and what the lost one says of it counts no more', async () => {
  const { id: endpointId, secret } = await endpoint();
  const message = { type: 'webhook.test', timestamp: new Date().toISOString(), data: {} };
  const names = { id: 'd1', messageId: 'msg_1', owner: principalKey(alice), endpoint: endpointId, target: '' };
  await store.dispatch([{ ...names, type: 'webhook.test', message: JSON.stringify(message) }], null);
  const [lost] = await store.take(1, 300);
  expect(await store.take(1, 300)).toEqual([]);
  work();
  const [one] = await receiver.until(1);
  check(secret, one as Received);
  await eventually(async () => expect((await log(endpointId))[0]).toMatchObject({ state: 'delivered' }));
  if (lost === undefined) throw new Error('nothing was taken');
  const late = { at: 0, ms: 0, status: 500, error: 'late' };
  expect(await store.settle(lost, late, { state: 'failed' })).toBe(false);
  expect((await log(endpointId))[0]).toMatchObject({ state: 'delivered' });
});
