/** The events of watched jobs: what an event stream and a webhook say of them. One schema describes both. */
import { z } from 'zod';
import { jobDiagnosis } from './diagnosis.ts';

/** Every type, and what it means. */
export const jobEventTypes = {
  'job.state_changed': 'A watched job is in another state of the scheduler',
  'job.ended': 'A watched job has ended; its diagnosis follows',
  'job.diagnosed': 'What became of a watched job, and why',
  'job.lost': 'The scheduler knows no such job any more, and its end was not seen; the watch is over',
  'job.watch_expired': 'The time for which the job was to be watched is over, or the permission was taken back',
} as const;

/** What a type tells beyond whose it is. */
const jobFacts = z.object({
  state: z.string().optional().describe("The scheduler's bare base word"),
  previousState: z.string().nullable().optional().describe('Null: it was not seen before'),
  stateReason: z.string().nullable().optional(),
  exitCode: z.int().nullable().optional(),
  signal: z.int().nullable().optional(),
  diagnosis: jobDiagnosis.optional().describe('Of `job.diagnosed`'),
  looks: z
    .array(z.object({ at: z.iso.datetime(), answer: z.string(), isProof: z.boolean() }))
    .optional()
    .describe('Of `job.lost`: what was tried'),
  why: z.string().optional().describe('Of `job.watch_expired`'),
});

export type JobFacts = z.infer<typeof jobFacts>;

export const jobEventView = z.object({
  type: z.string().describe('What happened; types that are not known are to be ignored'),
  timestamp: z.iso.datetime().describe('When it was seen'),
  data: z.object({
    watchId: z.string(),
    sequence: z.int().describe('Counts the events of one watch from 1; events may arrive out of order'),
    jobId: z.string(),
    system: z.string(),
    url: z.string().describe('The address of the watch'),
    ...jobFacts.shape,
  }),
});

/** An event as the store keeps it. */
export interface JobEvent {
  /** Grows with time within one owner. */
  id: string;
  type: string;
  watchId: string;
  sequence: number;
  /** Milliseconds since the epoch. */
  at: number;
  system: string;
  jobId: string;
  facts: JobFacts;
}

const storedFields = z.object({
  type: z.string(),
  watch: z.string(),
  sequence: z.coerce.number(),
  at: z.coerce.number(),
  system: z.string(),
  job: z.string(),
  facts: z.string(),
});

/** From the fields of its row. Throws a ZodError when they are not an event's. */
export function parseJobEvent(id: string, fields: Record<string, string>): JobEvent {
  const { type, watch, sequence, at, system, job, facts } = storedFields.parse(fields);
  return { id, type, watchId: watch, sequence, at, system, jobId: job, facts: jobFacts.parse(JSON.parse(facts)) };
}

export function viewJobEvent(event: JobEvent, baseUrl: string): z.infer<typeof jobEventView> {
  const { watchId, sequence, jobId, system, facts } = event;
  const url = `${baseUrl}/watches/${watchId}`;
  return {
    type: event.type,
    timestamp: new Date(event.at).toISOString(),
    data: { watchId, sequence, jobId, system, url, ...facts },
  };
}
