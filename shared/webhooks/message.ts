/** What goes over the wire: the body in the endpoint's format, and the headers of Standard Webhooks around it. */
import type { EventView } from '../tasks/event.ts';
import type { formats } from './endpoint.ts';
import { signatureHeader } from './signing.ts';

/** What a webhook tells. */
export type WebhookMessage = Pick<EventView, 'type' | 'timestamp'> & { data: Record<string, unknown> };

export interface Envelope {
  messageId: string;
  format: (typeof formats)[number];
  /** Keys to sign with, the newest first. */
  keys: readonly string[];
  /** What stands for this service as the source of a CloudEvent. */
  source: string;
  /** Milliseconds since the epoch: the time of this attempt. */
  now: number;
}

/** The same id at every attempt; receivers know a repeat by it. */
export function messageIdOf(subject: string, sequence: number): string {
  return `msg_${subject}_${sequence}`;
}

function subjectOf({ taskId, watchId, webhookId }: WebhookMessage['data']): { subject?: string } {
  const subject = taskId ?? watchId ?? webhookId;
  return typeof subject === 'string' ? { subject } : {};
}

function bodyOf(message: WebhookMessage, { messageId, format, source }: Envelope): string {
  if (format === 'standard') return JSON.stringify(message);
  return JSON.stringify({
    specversion: '1.0',
    id: messageId,
    source,
    type: message.type,
    time: message.timestamp,
    ...subjectOf(message.data),
    datacontenttype: 'application/json',
    data: message.data,
  });
}

/** One attempt, signed for its own time. */
export function signedRequest(
  message: WebhookMessage,
  envelope: Envelope,
): { headers: Record<string, string>; body: string } {
  const { messageId, format, keys, now } = envelope;
  const body = bodyOf(message, envelope);
  const timestamp = Math.floor(now / 1_000);
  return {
    body,
    headers: {
      'content-type': format === 'standard' ? 'application/json' : 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'goldcrest-webhooks',
      'webhook-id': messageId,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signatureHeader(keys, { id: messageId, timestamp, body }),
    },
  };
}
