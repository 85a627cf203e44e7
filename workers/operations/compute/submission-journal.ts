/** What the attempts of one submission tell each other: whether a job may exist, since when, and what was looked at. */
import { z } from 'zod';

const journalEntry = z.object({
  /** `intended`: a job may exist from `at` on. `refused`: it was settled that there is none. */
  phase: z.enum(['intended', 'refused']),
  key: z.string(),
  attempt: z.int(),
  /** When the first submission was intended and when the last one was; milliseconds since the epoch. */
  firstAt: z.number(),
  at: z.number(),
  /** When the first look that counts found no job after the last submission, or null. */
  emptyLookAt: z.number().nullable(),
});

export type SubmissionEntry = z.infer<typeof journalEntry>;

/** The entry an earlier attempt left, or null. Throws ZodError for one that this version cannot read. */
export function readSubmission(entry: Record<string, unknown> | null): SubmissionEntry | null {
  return entry === null ? null : journalEntry.parse(entry);
}

/** How far the accounting runs behind; measured on Slurm 22.05.8: about 4 s. */
export const lagWindowMs = 5_000;

/** What one more look without a job means. */
export interface EmptyLook {
  /** Milliseconds until the next look can settle it; 0: it is proven that there is no job. */
  waitMs: number;
  /** The entry to keep. */
  entry: SubmissionEntry;
}

/**
 * Counts a certain look that found no job. The proof takes two of them a lag window apart, the first one when the last
 * submission's command, which may live `commandMsMax` on the cluster, can no longer be at work.
 */
export function countEmptyLook(entry: SubmissionEntry, now: number, commandMsMax: number): EmptyLook {
  const quietFrom = entry.at + commandMsMax;
  if (now < quietFrom) return { waitMs: quietFrom - now, entry };
  if (entry.emptyLookAt === null) return { waitMs: lagWindowMs, entry: { ...entry, emptyLookAt: now } };
  const waitMs = Math.max(0, entry.emptyLookAt + lagWindowMs - now);
  return { waitMs, entry: waitMs > 0 ? entry : { ...entry, phase: 'refused' } };
}
