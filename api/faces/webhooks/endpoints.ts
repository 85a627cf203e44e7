/** /webhooks: the endpoints of the caller, made, shown, changed, given a new key, removed. */
import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Sealer } from '../../../shared/platform/sealing.ts';
import { principalKey } from '../../../shared/tasks/task.ts';
import {
  type Endpoint,
  endpointChange,
  endpointSubmission,
  type newEndpointView,
  rotationWish,
  viewEndpoint,
} from '../../../shared/webhooks/endpoint.ts';
import { newSigningKey, publicKeyOf, type SigningScheme } from '../../../shared/webhooks/signing.ts';
import { admitTarget } from '../../../shared/webhooks/target-rules.ts';
import { type Answer, answerOnce } from '../../http/answer-once.ts';
import type { AppContext, AppDeps, WebhookDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { linkTo } from '../../http/links.ts';
import { readBody } from './read-body.ts';

type Handle = (c: AppContext) => Promise<Response>;
type Deps = Pick<AppDeps, 'answers' | 'config' | 'webhooks'>;

const freshState = { failingSince: null, disabledAt: null, disabledReason: null };
const noStore = { 'cache-control': 'no-store' };

/** NotSupported where no key is configured that would seal the secrets. */
export function sealerOf({ sealer }: WebhookDeps): Sealer {
  if (sealer !== null) return sealer;
  throw new BrokerError('NotSupported', 'This service sends no webhooks: it has no key to seal their secrets with.');
}

export function ownerOf(c: AppContext): string {
  return principalKey(c.get('principal'));
}

/** The endpoint of the path. WebhookNotFound also for another owner's. */
export async function findEndpoint(c: AppContext, { store }: WebhookDeps) {
  const found = await store.find(ownerOf(c), c.req.param('id') ?? '');
  if (found === null) throw new BrokerError('WebhookNotFound', 'Webhook not found.');
  return found;
}

/** The same, to look at: also another owner's, for those whom OpenFGA lets see it, as who administers the service. */
export async function findSeenEndpoint(c: AppContext, deps: { webhooks: WebhookDeps } & Pick<AppDeps, 'mayOnOthers'>) {
  const id = c.req.param('id') ?? '';
  const { store } = deps.webhooks;
  const own = await store.find(ownerOf(c), id);
  if (own !== null) return own;
  const may = await deps.mayOnOthers(c.get('principal'), 'view', { type: 'webhook', id: idOf(id) }, c.get('address'));
  const owner = may ? await store.ownerOf(id) : null;
  const found = owner === null ? null : await store.find(owner, id);
  if (found === null) throw new BrokerError('WebhookNotFound', 'Webhook not found.');
  return found;
}

/** What OpenFGA takes for an id, whatever was sent. */
function idOf(text: string): string {
  return /^wh_[0-9a-f]{32}$/.test(text) ? text : 'none';
}

/** A new key: what signs, what is kept of it, and what the owner is told once. */
function makeKey(sealer: Sealer, id: string, scheme: SigningScheme) {
  const key = newSigningKey(scheme);
  return {
    stored: { sealed: sealer.seal(key, id), until: null },
    publicKey: scheme === 'v1a' ? publicKeyOf(key) : null,
    secret: scheme === 'v1' ? key : null,
  };
}

/** 201 with the secret, which is not shown again. InvalidRequest, WebhookNotAllowed, TooManyWebhooks, NotSupported. */
export function createEndpoint({ answers, config, webhooks }: Deps): Handle {
  const make = async (c: AppContext, wish: z.output<typeof endpointSubmission>): Promise<Answer> => {
    const sealer = sealerOf(webhooks);
    const { url, description, events, format, signature } = wish;
    admitTarget(url, webhooks.targets);
    const id = `wh_${randomUUID().replaceAll('-', '')}`;
    const { stored, publicKey, secret } = makeKey(sealer, id, signature);
    const endpoint: Endpoint = {
      ...{ id, url, description, events, format, scheme: signature, keys: [stored], publicKey },
      createdAt: Date.now(),
    };
    if (!(await webhooks.store.add(ownerOf(c), endpoint, webhooks.endpointsPerUserMax))) {
      const quota = webhooks.endpointsPerUserMax;
      throw new BrokerError('TooManyWebhooks', `You have ${quota} webhooks, the bound.`, { quota });
    }
    const view: z.infer<typeof newEndpointView> = { ...viewEndpoint(endpoint, freshState), secret };
    return { status: 201, body: view, headers: { ...noStore, location: linkTo(config.api, `/webhooks/${id}`) } };
  };
  return async (c) => {
    const wish = await readBody(c, endpointSubmission);
    return answerOnce(c, answers, wish, () => make(c, wish));
  };
}

export function listEndpoints({ webhooks }: Deps): Handle {
  return async (c) => {
    const found = await webhooks.store.list(ownerOf(c));
    found.sort((a, b) => a.endpoint.createdAt - b.endpoint.createdAt);
    return jsonResponse(c, 200, { webhooks: found.map(({ endpoint, state }) => viewEndpoint(endpoint, state)) });
  };
}

export function getEndpoint(deps: Deps & Pick<AppDeps, 'mayOnOthers'>): Handle {
  return async (c) => {
    const { endpoint, state } = await findSeenEndpoint(c, deps);
    return jsonResponse(c, 200, viewEndpoint(endpoint, state));
  };
}

export function changeEndpoint({ webhooks }: Deps): Handle {
  return async (c) => {
    const { endpoint } = await findEndpoint(c, webhooks);
    const { enabled, ...change } = await readBody(c, endpointChange);
    if (change.url !== undefined) admitTarget(change.url, webhooks.targets);
    const { url, description, events, format } = { ...endpoint, ...change };
    await webhooks.store.replace(ownerOf(c), {
      ...endpoint,
      ...{ url: url ?? endpoint.url, description: description ?? endpoint.description },
      ...{ events: events ?? endpoint.events, format: format ?? endpoint.format },
    });
    if (enabled !== undefined) await webhooks.store.setEnabled(endpoint.id, enabled);
    const now = await findEndpoint(c, webhooks);
    return jsonResponse(c, 200, viewEndpoint(now.endpoint, now.state));
  };
}

export function removeEndpoint({ webhooks }: Deps): Handle {
  return async (c) => {
    const { endpoint } = await findEndpoint(c, webhooks);
    await webhooks.store.remove(ownerOf(c), endpoint.id);
    return jsonResponse(c, 204, null);
  };
}

/** A new key; the old one signs beside it for the overlap. Older ones than that are dropped at once. */
export function rotateKey({ answers, webhooks }: Deps): Handle {
  const rotate = async (c: AppContext, { overlapSeconds }: z.output<typeof rotationWish>): Promise<Answer> => {
    const sealer = sealerOf(webhooks);
    const { endpoint, state } = await findEndpoint(c, webhooks);
    const { stored, publicKey, secret } = makeKey(sealer, endpoint.id, endpoint.scheme);
    const [present] = endpoint.keys;
    const until = Date.now() + overlapSeconds * 1_000;
    const changed = { ...endpoint, keys: [stored, ...(present ? [{ ...present, until }] : [])], publicKey };
    await webhooks.store.replace(ownerOf(c), changed);
    return { status: 200, body: { ...viewEndpoint(changed, state), secret }, headers: noStore };
  };
  return async (c) => {
    await findEndpoint(c, webhooks);
    const wish = await readBody(c, rotationWish);
    return answerOnce(c, answers, wish, () => rotate(c, wish));
  };
}
