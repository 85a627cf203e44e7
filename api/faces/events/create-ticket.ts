/** POST /events/tickets: a ticket with which a browser may open one event stream. */
import { z } from 'zod';
import type { EventTickets } from '../../events/event-tickets.ts';
import type { AppContext } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { tokenEndOf } from '../../middleware/authenticate-by-ticket.ts';

export const ticketView = z.object({
  ticket: z.string().describe('To be sent as the query parameter `ticket`, once'),
  expiresAt: z.iso.datetime(),
});

/** 201 with the ticket. StoreUnavailable. */
export function createTicket(tickets: EventTickets): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const tokenEndsAt = tokenEndOf(c.get('token'));
    const { ticket, expiresAt } = await tickets.issue({ principal: c.get('principal'), tokenEndsAt });
    const body: z.infer<typeof ticketView> = { ticket, expiresAt: new Date(expiresAt).toISOString() };
    return jsonResponse(c, 201, body, { 'cache-control': 'no-store' });
  };
}
