/**
 * Tickets for event streams: a browser's EventSource can send no Authorization header, so its page asks for a ticket and
 * puts that into the address. A ticket is good once, for a minute; Redis holds its hash only.
 */
import { hash, randomBytes } from 'node:crypto';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type Redis, withStore } from '../../shared/platform/redis.ts';
import type { Principal } from '../../shared/tasks/task.ts';

/** Who asked for a ticket, and until when the token was good that it was asked with, in milliseconds since the epoch. */
export interface TicketHolder {
  principal: Principal;
  tokenEndsAt: number;
}

export interface EventTickets {
  /** StoreUnavailable. */
  issue(holder: TicketHolder): Promise<{ ticket: string; expiresAt: number }>;
  /** TokenInvalid where there is no such ticket, or it was used; StoreUnavailable. */
  redeem(ticket: string): Promise<TicketHolder>;
}

const ticketMs = 60_000;
const ticketText = /^[A-Za-z0-9_-]{43}$/;

export function createEventTickets(redis: Redis, keyPrefix: string): EventTickets {
  const key = (ticket: string): string => `${keyPrefix}:ticket:${hash('sha256', ticket, 'base64url')}`;
  return {
    issue: (holder) =>
      withStore(async () => {
        const ticket = randomBytes(32).toString('base64url');
        await redis.set(key(ticket), JSON.stringify(holder), 'PX', ticketMs);
        return { ticket, expiresAt: Date.now() + ticketMs };
      }),
    redeem: (ticket) =>
      withStore(async () => {
        const stored = ticketText.test(ticket) ? await redis.getdel(key(ticket)) : null;
        if (stored === null) throw new BrokerError('TokenInvalid', 'The ticket is not valid, or was used.');
        return JSON.parse(stored) as TicketHolder;
      }),
  };
}
