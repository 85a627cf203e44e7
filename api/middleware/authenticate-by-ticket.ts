/** Lets a one-use ticket in the address stand in for the bearer token, for clients that can send no header. */
import type { MiddlewareHandler } from 'hono';
import { decodeJwt } from 'jose';
import type { EventTickets } from '../events/event-tickets.ts';
import type { AppEnv } from '../http/app-env.ts';
import { readQuery } from '../http/query.ts';

/** Without a ticket the request is authenticated as any other. Tells in both cases when the token ends. */
export function authenticateByTicket(
  tickets: EventTickets,
  byToken: MiddlewareHandler<AppEnv>,
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const ticket = c.req.header('authorization') === undefined ? readQuery(c).get('ticket') : undefined;
    if (ticket === undefined) {
      return byToken(c, async () => {
        c.set('tokenEndsAt', tokenEndOf(c.get('token')));
        await next();
      });
    }
    const { principal, tokenEndsAt } = await tickets.redeem(ticket);
    c.set('principal', principal);
    c.set('tokenEndsAt', tokenEndsAt);
    await next();
  };
}

/** When a token that was verified before ends, in milliseconds since the epoch. */
export function tokenEndOf(token: string): number {
  try {
    return (decodeJwt(token).exp ?? Number.MAX_SAFE_INTEGER / 1000) * 1000;
  } catch {
    return Number.MAX_SAFE_INTEGER; // no JWT: whoever verified it knows no end of it
  }
}
