/** What is told of a webhook itself: that it was disabled without its owner's doing. One schema describes streams and messages. */
import { z } from 'zod';

export const endpointEventTypes = {
  'webhook.disabled': 'A webhook is told nothing more: it answered 410, or failed for too long',
} as const;

/** Why a webhook is disabled without its owner's doing. */
export const disabledReasons = ['gone', 'failing'] as const;
export type DisabledReason = (typeof disabledReasons)[number];

const time = z.iso.datetime();

export const endpointEventView = z.object({
  type: z.string().describe('What happened; types that are not known are to be ignored'),
  timestamp: time.describe('When it happened'),
  data: z.object({
    webhookId: z.string(),
    sequence: z.int().describe('Counts the events of one webhook from 1'),
    reason: z.enum(disabledReasons).describe('`gone`: it answered 410; `failing`: it failed for too long'),
    failingSince: time.nullable().describe('Since when every attempt failed'),
    url: z.string().describe('The address of the webhook in this service'),
  }),
});

/** An event as the store keeps it. Times are milliseconds since the epoch. */
export interface EndpointEvent {
  /** Grows with time within one owner. */
  id: string;
  type: string;
  webhookId: string;
  sequence: number;
  at: number;
  reason: DisabledReason;
  failingSince: number | null;
}

const storedFields = z.object({
  type: z.string(),
  hook: z.string(),
  sequence: z.coerce.number(),
  at: z.coerce.number(),
  reason: z.enum(disabledReasons),
  failingSince: z.string().transform((text) => (text === '' ? null : Number(text))),
});

/** From the fields of its row. Throws a ZodError when they are not an event's. */
export function parseEndpointEvent(id: string, fields: Record<string, string>): EndpointEvent {
  const { hook: webhookId, ...rest } = storedFields.parse(fields);
  return { id, webhookId, ...rest };
}

export function viewEndpointEvent(event: EndpointEvent, baseUrl: string): z.infer<typeof endpointEventView> {
  const { type, webhookId, sequence, at, reason, failingSince } = event;
  const since = failingSince === null ? null : new Date(failingSince).toISOString();
  const url = `${baseUrl}/webhooks/${webhookId}`;
  return {
    ...{ type, timestamp: new Date(at).toISOString() },
    data: { webhookId, sequence, reason, failingSince: since, url },
  };
}
