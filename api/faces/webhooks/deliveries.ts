/** The deliveries of an endpoint: the log, one or all made again, and one that only tests. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Delivery } from '../../../shared/webhooks/delivery.ts';
import { viewDelivery } from '../../../shared/webhooks/delivery.ts';
import type { Endpoint } from '../../../shared/webhooks/endpoint.ts';
import type { WebhookMessage } from '../../../shared/webhooks/message.ts';
import { type Answer, answerOnce } from '../../http/answer-once.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { findEndpoint, findSeenEndpoint, ownerOf, sealerOf } from './endpoints.ts';
import { readBody } from './read-body.ts';

type Handle = (c: AppContext) => Promise<Response>;
type Deps = Pick<AppDeps, 'answers' | 'webhooks'>;

/** The body of POST /webhooks/{id}/redeliver. */
export const redeliveryWish = z.object({
  since: z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time with zone' }).describe('All made since then'),
  onlyFailed: z.boolean().default(true).describe('Leave out what was delivered'),
});

/** Newest first. */
export function listDeliveries(deps: Deps & Pick<AppDeps, 'mayOnOthers'>): Handle {
  return async (c) => {
    const { endpoint } = await findSeenEndpoint(c, deps);
    const deliveries = await deps.webhooks.store.deliveries(endpoint.id);
    return jsonResponse(c, 200, { deliveries: deliveries.map(viewDelivery) });
  };
}

async function again({ webhooks }: Deps, chosen: readonly Pick<Delivery, 'id' | 'state'>[]): Promise<Answer> {
  const ids = chosen.filter(({ state }) => state !== 'noted').map(({ id }) => id);
  return { status: 202, body: { redelivered: await webhooks.store.redeliver(ids) } };
}

/** One delivery once more, with the same webhook-id. WebhookNotFound. */
export function redeliverOne(deps: Deps): Handle {
  return async (c) => {
    const { endpoint } = await findEndpoint(c, deps.webhooks);
    const chosen = await deps.webhooks.store.findDelivery(endpoint.id, c.req.param('delivery_id') ?? '');
    if (chosen === null) throw new BrokerError('WebhookNotFound', 'Delivery not found.');
    return answerOnce(c, deps.answers, null, () => again(deps, [chosen]));
  };
}

export function redeliverSince(deps: Deps): Handle {
  return async (c) => {
    const { endpoint } = await findEndpoint(c, deps.webhooks);
    const wish = await readBody(c, redeliveryWish);
    const from = Date.parse(wish.since);
    return answerOnce(c, deps.answers, wish, async () => {
      const since = await deps.webhooks.store.deliveriesSince(endpoint.id, from);
      const isWanted = ({ state }: Pick<Delivery, 'state'>) => state === 'failed' || !wish.onlyFailed;
      return again(deps, since.filter(isWanted));
    });
  };
}

/** A message of the type `webhook.test`; the log shows what became of it. */
export function testEndpoint({ answers, webhooks }: Deps): Handle {
  const send = async (owner: string, endpoint: Pick<Endpoint, 'id'>): Promise<Answer> => {
    const messageId = `msg_test_${randomUUID()}`;
    const type = 'webhook.test';
    const message: WebhookMessage = {
      type,
      timestamp: new Date().toISOString(),
      data: { webhookId: endpoint.id },
    };
    const id = `${endpoint.id}_${messageId}`;
    const delivery = { id, messageId, owner, endpoint: endpoint.id, target: '', type };
    await webhooks.store.dispatch([{ ...delivery, message: JSON.stringify(message) }], null);
    return { status: 202, body: { delivery: id } };
  };
  return async (c) => {
    sealerOf(webhooks);
    const { endpoint } = await findEndpoint(c, webhooks);
    return answerOnce(c, answers, null, () => send(ownerOf(c), endpoint));
  };
}
