/** One attempt at one delivery: to whom, signed with what, what came of it, and what that means for the endpoint. */
import type { Logger } from 'pino';
import { z } from 'zod';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type Meter, silentMeter } from '../../shared/platform/metrics/meter.ts';
import type { Sealer } from '../../shared/platform/sealing.ts';
import type { AttemptOutcome, WebhookStore } from '../../shared/platform/webhook-store.ts';
import type { Delivery, DeliveryAttempt } from '../../shared/webhooks/delivery.ts';
import type { Endpoint } from '../../shared/webhooks/endpoint.ts';
import { signedRequest, type WebhookMessage } from '../../shared/webhooks/message.ts';
import { type PostReply, post } from './post.ts';
import { nextDelayMs } from './retry-schedule.ts';
import type { SsrfGuard } from './ssrf-guard.ts';

export interface DeliverDeps {
  store: WebhookStore;
  sealer: Sealer;
  guard: SsrfGuard;
  timeoutMs: number;
  /** PEM certificates to trust; null: those of the system. */
  ca: string | null;
  /** The proxy through which deliveries go; null: none. */
  proxy: URL | null;
  source: string;
  /** An endpoint whose attempts all fail for so long is disabled. */
  giveUpAfterMs: number;
  meter?: Meter;
  log: Logger;
}

/** An address that a task named, with its sealed secret. */
const namedTarget = z.object({ url: z.string(), sealed: z.string() });

interface Recipient {
  url: string;
  format: Endpoint['format'];
  keys: string[];
}

/** It is the service's own fault: the receiver is not counted as failing for it. */
class SecretUnreadable extends Error {}

/** What became of one attempt. Never rejects for what the receiver did. */
export async function deliver(deps: DeliverDeps, delivery: Delivery): Promise<void> {
  const startedAt = Date.now();
  let reply: PostReply | null = null;
  let failure: string | null = null;
  let isFinal = false;
  let isOurs = false;
  try {
    const recipient = await recipientOf(deps, delivery);
    if (recipient === null) {
      failure = 'the endpoint is disabled or was removed';
      isFinal = true;
    } else reply = await send(deps, delivery, recipient);
  } catch (error) {
    failure = wordsOf(error);
    isOurs = error instanceof SecretUnreadable;
    const level = isOurs ? 'error' : 'info';
    deps.log[level]({ err: error, delivery: delivery.id }, 'webhook was not delivered');
  }
  const isWell = reply !== null && reply.status >= 200 && reply.status < 300;
  const attempt: DeliveryAttempt = {
    at: startedAt,
    ms: Date.now() - startedAt,
    status: reply?.status ?? null,
    error: failure ?? (isWell ? null : `the receiver answered ${reply?.status}`),
  };
  const outcome = outcomeOf(delivery, reply, isWell, isFinal || reply?.status === 410);
  await deps.store.settle(delivery, attempt, outcome);
  const { meter = silentMeter } = deps;
  meter.count('goldcrest_webhook_attempts_total', { outcome: outcomeLabels[outcome.state] });
  if (delivery.endpoint !== '' && !isFinal && !isOurs) await noteHealth(deps, delivery, isWell, reply?.status === 410);
}

const outcomeLabels = { delivered: 'delivered', pending: 'to-retry', failed: 'given-up' } as const;

function outcomeOf(delivery: Delivery, reply: PostReply | null, isWell: boolean, isFinal: boolean): AttemptOutcome {
  if (isWell) return { state: 'delivered' };
  const delayMs = isFinal ? null : nextDelayMs(delivery.tries, reply?.retryAfterMs ?? null, Math.random());
  return delayMs === null ? { state: 'failed' } : { state: 'pending', nextAt: Date.now() + delayMs };
}

async function recipientOf({ store, sealer }: DeliverDeps, delivery: Delivery): Promise<Recipient | null> {
  if (delivery.endpoint === '') {
    const { url, sealed } = namedTarget.parse(JSON.parse(delivery.target));
    return { url, format: 'standard', keys: [open(sealer, sealed, `task ${delivery.owner}`)] };
  }
  const found = await store.find(delivery.owner, delivery.endpoint);
  if (found === null || found.state.disabledAt !== null) return null;
  const { url, format, keys } = found.endpoint;
  const present = keys.filter(({ until }) => until === null || until > Date.now());
  return { url, format, keys: present.map(({ sealed }) => open(sealer, sealed, delivery.endpoint)) };
}

function open(sealer: Sealer, sealed: string, place: string): string {
  try {
    return sealer.open(sealed, place);
  } catch (cause) {
    const message = 'the service cannot open the secret that signs it: its operators must bring back a sealing key';
    throw new SecretUnreadable(message, { cause });
  }
}

async function send(deps: DeliverDeps, delivery: Delivery, { url, format, keys }: Recipient): Promise<PostReply> {
  const target = await deps.guard.admit(url);
  const message = JSON.parse(delivery.message) as WebhookMessage;
  const { messageId } = delivery;
  const request = signedRequest(message, { messageId, format, keys, source: deps.source, now: Date.now() });
  return post(target, { ...request, timeoutMs: deps.timeoutMs, ca: deps.ca, proxy: deps.proxy });
}

async function noteHealth(
  deps: DeliverDeps,
  { owner, endpoint }: Pick<Delivery, 'owner' | 'endpoint'>,
  isWell: boolean,
  isGone: boolean,
): Promise<void> {
  const failingSince = await deps.store.noteHealth(endpoint, isWell);
  const isOver = isGone || (failingSince !== null && Date.now() - failingSince >= deps.giveUpAfterMs);
  if (!isOver || !(await deps.store.disable(owner, endpoint, isGone ? 'gone' : 'failing'))) return;
  deps.log.warn({ endpoint, failingSince, isGone }, 'a webhook is disabled: it is gone, or failed for too long');
}

/** For the owner of the endpoint: what failed, and nothing of what lies behind our network. */
function wordsOf(error: unknown): string {
  if (error instanceof BrokerError || error instanceof SecretUnreadable) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  if (message?.startsWith('no reply within')) return message;
  return code === undefined ? 'the request failed' : `the request failed (${code})`;
}
