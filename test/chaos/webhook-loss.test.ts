/** Workers that are killed while they tell a receiver: it hears of every task all the same, signed, by the one id. */
import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
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
