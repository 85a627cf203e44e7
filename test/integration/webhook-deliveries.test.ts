/** How webhooks are told: from the outbox to the receiver, tried again, given up, told anew. */
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { outboxKey } from '../../shared/platform/event-script.ts';
import { createEventStore } from '../../shared/platform/event-store.ts';
import { silentMeter } from '../../shared/platform/metrics/meter.ts';
import { readQueues } from '../../shared/platform/metrics/queue-readings.ts';
import { createSealer } from '../../shared/platform/sealing.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import { eventually } from '../eventually.ts';
import { alice, bob } from './task-fixture.ts';
import { ask, check, end, endpoint, hooks, log, ok, useWebhooks, work } from './webhook-fixture.ts';
import type { Received } from './webhook-receiver.ts';

useWebhooks();

describe('the outbox', () => {
  it('has a row of each event of an owner with endpoints, written with the state, and none of others', async () => {
    await end();
    expect(await hooks.tasks.redis.exists(outboxKey(hooks.tasks.keyPrefix))).toBe(0);
    await endpoint();
    await end();
    await end(bob);
    expect(await hooks.tasks.redis.xlen(outboxKey(hooks.tasks.keyPrefix))).toBe(3);
  });

  it('keeps what happened while no worker was there, and is empty when it was told', async () => {
    const { secret } = await endpoint();
    const ids = await Promise.all(Array.from({ length: 20 }, () => end()));
    const { redis, keyPrefix } = hooks.tasks;
    const backlog = (await readQueues(redis, keyPrefix, [])()).map(({ labels, value }) => [labels.state, value]);
    expect(Object.fromEntries(backlog)).toEqual({ event: await redis.xlen(outboxKey(keyPrefix)), due: 0, later: 0 });
    work();
    work();
    const received = await hooks.receiver.until(20);
    const told = received.map((one) => check(secret, one) as { data: { taskId: string } });
    expect(told.map(({ data }) => data.taskId).sort()).toEqual(ids.sort());
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(20);
    await eventually(async () => expect(await hooks.tasks.redis.xlen(outboxKey(hooks.tasks.keyPrefix))).toBe(0));
  });

  it('gives the row of a worker that died to another one', async () => {
    const { secret } = await endpoint();
    await end();
    const stream = outboxKey(hooks.tasks.keyPrefix);
    await hooks.tasks.redis.xgroup('CREATE', stream, 'deliver', '0');
    await hooks.tasks.redis.xreadgroup('GROUP', 'deliver', 'dead', 'COUNT', 10, 'STREAMS', stream, '>');
    const pending = (await hooks.tasks.redis.xpending(stream, 'deliver', '-', '+', 10)) as [string][];
    for (const [id] of pending) await hooks.tasks.redis.xclaim(stream, 'deliver', 'dead', 0, id, 'IDLE', 60_000);
    work();
    const [first] = await hooks.receiver.until(1);
    expect(check(secret, first as Received)).toMatchObject({ type: 'task.completed' });
  });
});

describe('a webhook', () => {
  it('is told of an end by a message that the reference library takes, within moments', async () => {
    work();
    const { secret } = await endpoint();
    const id = await end();
    const endedAt = Date.now();
    const [one] = await hooks.receiver.until(1);
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
    const [one] = await hooks.receiver.until(1);
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
    const [one] = await hooks.receiver.until(1);
    check(old, one as Received);
    check(rotated.body.secret, one as Received);
    const last = await ask('POST', `/webhooks/${id}/rotate`, { overlapSeconds: 0 });
    await end();
    const two = (await hooks.receiver.until(2))[1] as Received;
    check(last.body.secret, two);
    expect(() => check(rotated.body.secret, two)).toThrow();
  });

  it('may be a CloudEvent', async () => {
    work();
    const { secret } = await endpoint({ format: 'cloudevents', events: ['task.started'] });
    const id = await end();
    const [one] = await hooks.receiver.until(1);
    expect((one as Received).headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(check(secret, one as Received)).toMatchObject({
      ...{ specversion: '1.0', id: `msg_${id}_2`, source: '/', type: 'task.started', subject: id },
    });
  });

  it('that fails is tried again with the same id and a new time, and the log says what came of it', async () => {
    const counted: unknown[] = [];
    work({ meter: { ...silentMeter, count: (...of) => void counted.push(of) } });
    const { id, secret } = await endpoint();
    hooks.respond = (response, count) => response.writeHead(count === 1 ? 503 : 204).end();
    await end();
    await hooks.receiver.until(1);
    await eventually(async () =>
      expect((await log(id))[0]).toMatchObject({ state: 'pending', attempts: [{ status: 503 }] }),
    );
    await hooks.tasks.redis.zadd(`${hooks.tasks.keyPrefix}:deliveries-due`, 0, (await log(id))[0]?.id ?? '');
    const [first, second] = await hooks.receiver.until(2);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    check(secret, second as Received);
    await eventually(async () =>
      expect((await log(id))[0]).toMatchObject({
        state: 'delivered',
        attempts: [{ status: 503 }, { status: 204, error: null }],
      }),
    );
    const outcomes = [{ outcome: 'to-retry' }, { outcome: 'delivered' }];
    await eventually(() =>
      expect(counted).toEqual(outcomes.map((labels) => ['goldcrest_webhook_attempts_total', labels])),
    );
  });

  it('waits as long as the receiver asks', async () => {
    work();
    const { id } = await endpoint();
    hooks.respond = (response) => response.writeHead(429, { 'retry-after': '3600' }).end();
    await end();
    await eventually(async () => expect((await log(id))[0]?.attempts).toHaveLength(1));
    expect(Date.parse((await log(id))[0]?.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(3_500_000);
  });

  it('that redirects has failed, and nobody follows', async () => {
    work();
    const { id } = await endpoint();
    hooks.respond = (response) => response.writeHead(307, { location: hooks.receiver.url }).end();
    await end();
    await eventually(async () =>
      expect((await log(id))[0]).toMatchObject({ state: 'pending', attempts: [{ status: 307 }] }),
    );
    expect(hooks.receiver.received).toHaveLength(1);
  });

  it('that answers 410 is disabled, and hears no more until its owner says so', async () => {
    work();
    const { id } = await endpoint();
    hooks.respond = (response) => response.writeHead(410).end();
    await end();
    await eventually(async () =>
      expect((await ask('GET', `/webhooks/${id}`)).body).toMatchObject({ enabled: false, disabledReason: 'gone' }),
    );
    await end();
    await eventually(async () => expect(await hooks.tasks.redis.xlen(outboxKey(hooks.tasks.keyPrefix))).toBe(0));
    expect(hooks.receiver.received).toHaveLength(1);
    expect((await log(id)).filter(({ state }) => state === 'noted')).toMatchObject([{ type: 'webhook.disabled' }]);
    hooks.respond = ok;
    await ask('PATCH', `/webhooks/${id}`, { enabled: true });
    await end();
    await hooks.receiver.until(2);
  });

  it('whose secret the service cannot open is not to blame: it stays, and its owner reads why', async () => {
    const other = createSealer([{ id: 'k2', key: new Secret(randomBytes(32).toString('base64')) }]);
    work({ giveUpAfterMs: 0, ...(other === null ? {} : { sealer: other }) });
    const { id } = await endpoint();
    await end();
    await eventually(async () => expect((await log(id))[0]?.attempts[0]?.error).toMatch(/bring back a sealing key$/));
    expect((await log(id))[0]).toMatchObject({ state: 'pending' });
    expect((await ask('GET', `/webhooks/${id}`)).body).toMatchObject({ enabled: true, failingSince: null });
    expect(hooks.receiver.received).toEqual([]);
  });

  it('that fails for too long is disabled, which its log, its owner’s stream and other webhooks tell once', async () => {
    work({ giveUpAfterMs: 0 });
    const { id } = await endpoint();
    const { secret } = await endpoint({ url: `${hooks.receiver.url}/other`, events: ['webhook.disabled'] });
    hooks.respond = (response) => response.writeHead(response.req.url?.endsWith('/other') ? 204 : 500).end();
    const told = () => hooks.receiver.received.filter(({ body }) => body.includes('webhook.disabled'));
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
    const events = await createEventStore(hooks.tasks.redis, hooks.tasks.keyPrefix).read(
      principalKey(alice),
      '0-0',
      100,
    );
    expect(events.filter(({ type }) => type === 'webhook.disabled')).toMatchObject([facts(1), facts(2)]);
  });

  it('is told again what its owner wants told again, one or all since a time, and a test', async () => {
    work();
    const { id, secret } = await endpoint();
    await end();
    await hooks.receiver.until(1);
    await eventually(async () => expect((await log(id))[0]?.state).toBe('delivered'));
    const delivery = (await log(id))[0]?.id ?? '';
    expect((await ask('POST', `/webhooks/${id}/deliveries/${delivery}/redeliver`)).status).toBe(202);
    const [first, second] = await hooks.receiver.until(2);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    await eventually(async () => expect((await log(id))[0]).toMatchObject({ state: 'delivered', attempts: [{}, {}] }));
    const since = new Date(0).toISOString();
    expect((await ask('POST', `/webhooks/${id}/redeliver`, { since })).body).toEqual({ redelivered: [] });
    expect((await ask('POST', `/webhooks/${id}/redeliver`, { since, onlyFailed: false })).body).toEqual({
      redelivered: [delivery],
    });
    await hooks.receiver.until(3);
    await ask('POST', `/webhooks/${id}/test`);
    expect(check(secret, (await hooks.receiver.until(4))[3] as Received)).toMatchObject({ type: 'webhook.test' });
  });
});

it('an attempt whose worker was lost is made again by another, and what the lost one says of it counts no more', async () => {
  const { id: endpointId, secret } = await endpoint();
  const message = { type: 'webhook.test', timestamp: new Date().toISOString(), data: {} };
  const names = { id: 'd1', messageId: 'msg_1', owner: principalKey(alice), endpoint: endpointId, target: '' };
  await hooks.store.dispatch([{ ...names, type: 'webhook.test', message: JSON.stringify(message) }], null);
  const [lost] = await hooks.store.take(1, 1_500);
  expect(await hooks.store.take(1, 1_500)).toEqual([]);
  work();
  const [one] = await hooks.receiver.until(1);
  check(secret, one as Received);
  await eventually(async () => expect((await log(endpointId))[0]).toMatchObject({ state: 'delivered' }));
  if (lost === undefined) throw new Error('nothing was taken');
  const late = { at: 0, ms: 0, status: 500, error: 'late' };
  expect(await hooks.store.settle(lost, late, { state: 'failed' })).toBe(false);
  expect((await log(endpointId))[0]).toMatchObject({ state: 'delivered' });
});
