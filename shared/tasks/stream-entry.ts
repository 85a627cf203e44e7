/** The stream that a task's journal names: enough to tell its client where to go, once its secret is opened. */
import { z } from 'zod';

export const streamEntry = z.object({
  /** What the client shows, sealed for the task. */
  sealedSecret: z.string(),
  /** Where it listens; not there before it does. */
  port: z.int().optional(),
  isConnected: z.boolean().default(false),
});

export type StreamEntry = z.infer<typeof streamEntry>;

const journalWithStream = z.object({ stream: streamEntry });

/** Null where the journal names none. */
export function streamEntryOf(journal: Record<string, unknown> | null): StreamEntry | null {
  return journalWithStream.safeParse(journal).data?.stream ?? null;
}

/** What the secret of a task's stream is sealed for. */
export function streamPlace(taskId: string): string {
  return `stream ${taskId}`;
}
