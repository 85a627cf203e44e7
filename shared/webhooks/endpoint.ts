/** A webhook endpoint: an address of a user that hears of their tasks. Kept as JSON in a hash of its owner. */
import { z } from 'zod';
import { eventTypeNames, usualTypes } from '../tasks/event.ts';

export const formats = ['standard', 'cloudevents'] as const;

const storedKey = z.object({
  sealed: z.string(),
  /** Milliseconds since the epoch; from then on it signs no more. Null: the present key. */
  until: z.number().nullable(),
});

export const storedEndpoint = z.object({
  id: z.string(),
  url: z.string(),
  description: z.string(),
  events: z.array(z.string()),
  format: z.enum(formats),
  scheme: z.enum(['v1', 'v1a']),
  /** The present one first. */
  keys: z.array(storedKey),
  /** Of the present key, with `v1a`. */
  publicKey: z.string().nullable(),
  createdAt: z.number(),
});

export type Endpoint = z.infer<typeof storedEndpoint>;

/** How an endpoint does. */
export interface EndpointState {
  /** Since when every attempt failed; null: the last one did not. */
  failingSince: number | null;
  disabledAt: number | null;
  /** `gone`: it answered 410. `failing`: it failed for too long. `owner`: its owner said so. */
  disabledReason: string | null;
}

const events = z.array(z.enum(eventTypeNames)).min(1).max(eventTypeNames.length).describe('Types of events to be told');
const description = z.string().max(200);

/** The body of POST /webhooks. */
export const endpointSubmission = z.object({
  url: z.string().max(2_048).describe('Where to send; https'),
  description: description.default(''),
  events: events.default([...usualTypes]),
  format: z.enum(formats).default('standard').describe('`cloudevents`: CloudEvents 1.0 as JSON (structured mode)'),
  signature: z
    .enum(['v1', 'v1a'])
    .default('v1')
    .describe('`v1`: HMAC-SHA256 with a shared secret; `v1a`: ed25519, checked with a public key'),
});

/** The body of PATCH /webhooks/{id}. */
export const endpointChange = z.object({
  url: z.string().max(2_048).optional(),
  description: description.optional(),
  events: events.optional(),
  format: z.enum(formats).optional(),
  enabled: z.boolean().optional().describe('True also takes back what disabled it'),
});

/** The body of POST /webhooks/{id}/rotate. */
export const rotationWish = z.object({
  overlapSeconds: z
    .int()
    .min(0)
    .max(7 * 86_400)
    .default(86_400)
    .describe('So long both keys sign'),
});

/** An endpoint as the API shows it. */
export const endpointView = z.object({
  id: z.string(),
  url: z.string(),
  description: z.string(),
  events: z.array(z.string()),
  format: z.enum(formats),
  signature: z.enum(['v1', 'v1a']),
  publicKey: z.string().nullable().describe('`whpk_…`, to check `v1a` with'),
  enabled: z.boolean(),
  disabledReason: z.string().nullable().describe('`gone`, `failing` or `owner`'),
  disabledAt: z.iso.datetime().nullable(),
  failingSince: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
});

/** With the secret of `v1`, which is shown when it is made and never again. */
export const newEndpointView = endpointView.extend({ secret: z.string().nullable() });

const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export function viewEndpoint(endpoint: Endpoint, state: EndpointState): z.infer<typeof endpointView> {
  const { id, url, description: text, events: types, format, scheme, publicKey, createdAt } = endpoint;
  return {
    ...{ id, url, description: text, events: types, format, signature: scheme, publicKey },
    enabled: state.disabledAt === null,
    disabledReason: state.disabledReason,
    disabledAt: time(state.disabledAt),
    failingSince: time(state.failingSince),
    createdAt: new Date(createdAt).toISOString(),
  };
}
