/** The wormhole that a task's journal names, and how codes are sealed: those that clients send, and those that they are given. */
import { z } from 'zod';

export const wormholeEntry = z.object({
  /** Of a download: what the client is to use, sealed for the task. */
  sealedCode: z.string().optional(),
  isConnected: z.boolean().default(false),
});

export type WormholeEntry = z.infer<typeof wormholeEntry>;

const journalWithWormhole = z.object({ wormhole: wormholeEntry });

/** Null where the journal names none. */
export function wormholeEntryOf(journal: Record<string, unknown> | null): WormholeEntry | null {
  return journalWithWormhole.safeParse(journal).data?.wormhole ?? null;
}

/** What the code that a task gives away is sealed for. */
export function givenCodePlace(taskId: string): string {
  return `wormhole ${taskId}`;
}

/** What a code that a client sends is sealed for: there is no task yet. */
export function sentCodePlace(systemName: string): string {
  return `wormhole to ${systemName}`;
}
