/** What a scheduler says of a job that is not submitted. */
import { z } from 'zod';

export const jobEstimate = z.object({
  startAt: z.int().nullable().describe('Seconds since the epoch; null where the scheduler names no time'),
  nodes: z.string().nullable().describe("Where it would run, in the scheduler's notation; null where it is not named"),
  partition: z.string().nullable(),
  cpus: z.int().nullable(),
  message: z.string().describe("The scheduler's own words; may be empty"),
});

export type JobEstimate = z.infer<typeof jobEstimate>;
