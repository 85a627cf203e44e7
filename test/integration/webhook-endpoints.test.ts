/** The addresses that webhooks go to: a user's own, and those that a task names; whose they are, and what is refused. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { principalKey } from '../../shared/tasks/task.ts';
import { eventually } from '../eventually.ts';
import { alice } from './task-fixture.ts';
import { ask, check, endpoint, hooks, type Json, log, useWebhooks, work } from './webhook-fixture.ts';
import type { Received } from './webhook-receiver.ts';

useWebhooks();

describe('a webhook', () => {
  it('is its owner’s alone, bounded in number, and its secret is shown once and kept sealed', async () => {
    const { id, secret } = await endpoint();
    for (const path of [`/webhooks/${id}`, `/webhooks/${id}/deliveries`])
      expect((await ask('GET', path, undefined, 'bob')).status).toBe(404);
    expect((await ask('DELETE', `/webhooks/${id}`, undefined, 'bob')).status).toBe(404);
    expect((await ask('GET', `/webhooks/${id}`)).text).not.toContain(secret.slice(6));
    const kept = await hooks.tasks.redis.hgetall(`${hooks.tasks.keyPrefix}:hooks:${principalKey(alice)}`);
    expect(JSON.stringify(kept)).not.toContain(secret.slice(6));
    await endpoint();
    await endpoint();
    expect((await ask('POST', '/webhooks', { url: hooks.receiver.url })).body.code).toBe('TooManyWebhooks');
    expect((await ask('DELETE', `/webhooks/${id}`)).status).toBe(204);
    expect((await ask('GET', '/webhooks')).body.webhooks).toHaveLength(2);
  });

  it('is made, given a key, tested and told again once for each idempotency key, which keeps its secret sealed', async () => {
    const make = (key: string, user = 'alice', over = {}) =>
      ask('POST', '/webhooks', { url: hooks.receiver.url, ...over }, user, key);
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
    for (const name of await hooks.tasks.redis.keys(`${hooks.tasks.keyPrefix}:answer:*`)) {
      expect(await hooks.tasks.redis.get(name)).not.toContain(first.body.secret.slice(6));
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
    check(secret, (await hooks.receiver.until(1))[0] as Received); // the key before the first rotation still signs
    check(rotated.body.secret, hooks.receiver.received[0] as Received);
    await eventually(async () => expect(await log(id)).toMatchObject([{ state: 'delivered' }]));

    await hooks.tasks.redis.set(`${hooks.tasks.keyPrefix}:answer:${principalKey(alice)}:a`, 'gone.AAAA', 'XX');
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
    const answer = await ask('POST', '/tasks', {
      operation: 'status.systems',
      webhook: { url: hooks.receiver.url, secret },
    });
    expect(answer.status, answer.text).toBe(202);
    expect(
      JSON.stringify(await hooks.tasks.redis.hgetall(`${hooks.tasks.keyPrefix}:task:${answer.body.id}`)),
    ).not.toContain(secret.slice(6));
    await ask('DELETE', `/tasks/${answer.body.id}`);
    const [one] = await hooks.receiver.until(1);
    expect(check(secret, one as Received)).toMatchObject({
      ...{ type: 'task.canceled', data: { taskId: answer.body.id, errorCode: 'TaskCanceled' } },
    });
  });

  it('may be named by headers on any route of FirecREST, of a read that is held too', async () => {
    work();
    const headers = {
      authorization: 'Bearer alice',
      'goldcrest-webhook': hooks.receiver.url,
      'goldcrest-webhook-secret': secret,
    };
    const path = '/filesystem/alps/ops/stat?path=/home/gcalice';
    const answer = await hooks.app.request(path, { headers: { ...headers, prefer: 'respond-async' } });
    const { id } = (await answer.json()) as Json;
    await ask('DELETE', `/tasks/${id}`);
    expect(check(secret, (await hooks.receiver.until(1))[0] as Received)).toMatchObject({ data: { taskId: id } });
    const held = hooks.app.request(path, { headers: { ...headers, prefer: 'wait=1' } });
    expect((await held).status).toBe(408);
    const told = check(secret, (await hooks.receiver.until(2))[1] as Received) as {
      type: string;
      data: { taskId: string };
    };
    expect(told.type).toBe('task.canceled');
    expect((await ask('GET', `/tasks/${told.data.taskId}`)).body).toMatchObject({ state: 'canceled' });
    const refused = async (changed: Record<string, string>) =>
      ((await (await hooks.app.request(path, { headers: { ...headers, ...changed } })).json()) as { code: string })
        .code;
    expect(await refused({ 'goldcrest-webhook': 'https://169.254.169.254/' })).toBe('WebhookNotAllowed');
    expect(await refused({ 'goldcrest-webhook-secret': 'whsec_x' })).toBe('InvalidRequest');
  });

  it('is refused where it may not be told', async () => {
    const post = (webhook: unknown) => ask('POST', '/tasks', { operation: 'status.systems', webhook });
    expect((await post({ url: 'http://10.0.0.1/', secret })).body.code).toBe('WebhookNotAllowed');
    expect((await post({ url: hooks.receiver.url, secret: 'short' })).body.code).toBe('InvalidRequest');
    expect((await post({ url: hooks.receiver.url })).body.code).toBe('InvalidRequest');
  });
});
