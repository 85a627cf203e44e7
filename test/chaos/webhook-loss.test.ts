/** Workers that are killed while they tell a receiver: it hears of every task all the same, signed, by the one id. */
import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { type Receiver, startReceiver } from '../integration/webhook-receiver.ts';
import { type Broker, type Client, clientOf, startBroker } from '../system/broker-fixture.ts';

const lab = inject('lab');
let isHung = true;
let broker: Broker;
let client: Client;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver((response) => {
    if (!isHung) response.writeHead(200).end();
  });
  broker = await startBroker(lab, {
    workers: 2,
    scheduler: 'process',
    goldcrest: {
      webhooks: {
        sealing_keys: [{ id: 'k', key: randomBytes(32).toString('base64') }],
        ...{ allow_http: true, ports: [receiver.port], allowed_networks: ['127.0.0.1/32'], timeout: '10s' },
      },
    },
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

afterAll(async () => {
  await broker?.stop();
  await receiver?.close();
});

it('a delivery whose worker is killed in the middle is made by another one, and told as one message', async () => {
  const made = await client.post('/webhooks', { url: receiver.url });
  expect(made.status, made.text).toBe(201);
  const task = await client.post('/tasks', { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } });
  const [first] = await receiver.until(1);
  // Whichever of them holds it: both go, and a third takes over what they left.
  await Promise.all(broker.workers.map((worker) => worker.kill()));
  isHung = false;
  await broker.addWorker();
  const again = (await receiver.until(2))[1];
  expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
  const message = new Webhook(made.body.secret as string).verify(again?.body ?? '', again?.headers ?? {});
  expect(message).toMatchObject({ type: 'task.completed', data: { taskId: task.body.id } });
});

it('what a watched job became is told once by its id, though the worker is killed between the change and the delivery', async () => {
  isHung = true;
  const heard = receiver.received.length;
  const job = { workingDirectory: '/tmp', standardOutput: '/dev/null', script: '#!/bin/sh\nexit 3\n' };
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  const sent = await client.post('/compute/lab/jobs', { job, webhook: { url: receiver.url, secret } });
  expect(sent.status, sent.text).toBe(201);
  const ofJob = () =>
    receiver.received
      .slice(heard)
      .filter(({ body }) => body.includes('"job.') && body.includes(String(sent.body.watchId)))
      .map(({ body, headers, at }) => ({ ...(JSON.parse(body) as { type: string }), id: headers['webhook-id'], at }));
  const has = (type: string) => ofJob().some((event) => event.type === type);
  // The change is written, its delivery is under way and gets no answer.
  await vi.waitFor(() => expect(has('job.ended')).toBe(true), { timeout: 30_000, interval: 25 });
  await Promise.all(broker.workers.map((worker) => worker.kill()));
  const killedAt = Date.now();
  isHung = false;
  await broker.addWorker();
  const again = () => ofJob().filter(({ at, type }) => at >= killedAt && type === 'job.ended');
  await vi.waitFor(() => expect(again().length).toBeGreaterThan(0), { timeout: 30_000, interval: 50 });
  await vi.waitFor(() => expect(has('job.diagnosed')).toBe(true), { timeout: 30_000, interval: 50 });
  const ids = new Map<string, Set<string | undefined>>();
  for (const { type, id } of ofJob()) ids.set(type, (ids.get(type) ?? new Set()).add(id));
  expect(ids.get('job.ended')?.size).toBe(1);
  expect(ids.get('job.diagnosed')?.size).toBe(1);
  const { body } = await client.get(`/watches/${sent.body.watchId}`);
  expect(body).toMatchObject({ phase: 'diagnosed', diagnosis: { exitCode: 3 } });
});
