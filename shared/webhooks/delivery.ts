/** A delivery: one series of attempts to tell one endpoint of one event. Kept in a Redis hash. */
import { z } from 'zod';

/** `noted`: what happened to the endpoint itself, of which it is not told. */
export const deliveryStates = ['pending', 'delivered', 'failed', 'noted'] as const;

const attempt = z.object({
  at: z.number(),
  ms: z.number(),
  /** HTTP status; null where there was no reply. */
  status: z.number().nullable(),
  error: z.string().nullable(),
});

export type DeliveryAttempt = z.infer<typeof attempt>;

const storedDelivery = z.object({
  id: z.string(),
  /** The header `webhook-id`; the same over all attempts, and at every endpoint of the owner. */
  messageId: z.string(),
  owner: z.string(),
  /** Empty: the address that the task itself named. */
  endpoint: z.string().default(''),
  /** JSON of the address and the sealed secret that the task named; empty: the endpoint's. */
  target: z.string().default(''),
  type: z.string(),
  /** JSON of what is told: type, timestamp, data. */
  message: z.string(),
  state: z.enum(deliveryStates),
  createdAt: z.coerce.number(),
  attempts: z.coerce.number(),
  /** Attempts of the present series; a redelivery begins anew. */
  tries: z.coerce.number(),
  nextAt: z.coerce.number().nullable().default(null),
  log: z.string().default('[]'),
});

export type Delivery = Omit<z.infer<typeof storedDelivery>, 'log'> & { log: DeliveryAttempt[] };

/** From the fields of its hash. Throws a ZodError when they are not a delivery's. */
export function parseDelivery(fields: Record<string, string>): Delivery {
  const { log, ...rest } = storedDelivery.parse(fields);
  return { ...rest, log: z.array(attempt).parse(JSON.parse(log)) };
}

/** A delivery as the API shows it. What the receiver answered is shown as its status only. */
export const deliveryView = z.object({
  id: z.string(),
  messageId: z.string(),
  type: z.string(),
  state: z.enum(deliveryStates).describe('`noted`: it tells of the webhook itself, and was not sent to it'),
  createdAt: z.iso.datetime(),
  nextAttemptAt: z.iso.datetime().nullable(),
  attempts: z.array(
    z.object({ at: z.iso.datetime(), durationMs: z.int(), status: z.int().nullable(), error: z.string().nullable() }),
  ),
});

export function viewDelivery(delivery: Delivery): z.infer<typeof deliveryView> {
  const { id, messageId, type, state, createdAt, nextAt, log } = delivery;
  return {
    ...{ id, messageId, type, state },
    createdAt: new Date(createdAt).toISOString(),
    nextAttemptAt: state === 'pending' && nextAt !== null ? new Date(nextAt).toISOString() : null,
    attempts: log.map(({ at, ms, status, error }) => ({
      at: new Date(at).toISOString(),
      durationMs: Math.round(ms),
      status,
      error,
    })),
  };
}
