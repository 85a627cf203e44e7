/** The reservations of a system. FirecREST v2: GET /status/{system_name}/reservations. */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { defineOperation } from '../operation.ts';

export const reservation = z.object({
  name: z.string(),
  nodeList: z.string(),
  endTime: z.int().describe('Seconds since the epoch'),
  startTime: z.int().describe('Seconds since the epoch'),
  features: z.string().nullable(),
  state: z.string().nullable().describe('active or inactive'),
});

export type Reservation = z.infer<typeof reservation>;

export const reservations = defineOperation({
  name: 'status.reservations',
  summary: 'The reservations of a system',
  input: z.object({}),
  result: z.object({ reservations: z.array(reservation) }),
  firecrest: {
    method: 'GET',
    path: '/status/{system_name}/reservations',
    status: 200,
    answer: ({ reservations: list }) => ({ reservations: list }),
  },
  relation: 'view_status',
  ...askScheduler,
  timeoutMs: 30_000,
  errors: ['SchedulerFailed'],
});
