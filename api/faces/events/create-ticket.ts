/** POST /events/tickets: a ticket with which a browser may open one event stream. */
import { z } from 'zod';
import type { KeptAnswers } from '../../../shared/platform/kept-answers.ts';
import type { EventTickets } from '../../events/event-tickets.ts';
import { type Answer, answerOnce } from '../../http/answer-once.ts';
import type { AppContext } from '../../http/app-env.ts';
import { tokenEndOf } from '../../middleware/authenticate-by-ticket.ts';

export const ticketView = z.object({
  ticket: z.string().describe('To be sent as the query parameter `ticket`, once'),
  expiresAt: z.iso.datetime(),
});

/** 201 with the ticket. StoreUnavailable. */
export function createTicket(tickets: EventTickets, answers: KeptAnswers | null): (c: AppContext) => Promise<Response> {
  const make = async (c: AppContext): Promise<Answer> => {
    const tokenEndsAt = tokenEndOf(c.get('token'));
    const { ticket, expiresAt } = await tickets.issue({ principal: c.get('principal'), tokenEndsAt });
    const body: z.infer<typeof ticketView> = { ticket, expiresAt: new Date(expiresAt).toISOString() };
    return { status: 201, body, headers: { 'cache-control': 'no-store' } };
  };
  return async (c) => answerOnce(c, answers, null, () => make(c));
}
