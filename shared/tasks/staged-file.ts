/** Where the bytes of a transfer are staged, as the task's journal has it: enough to sign addresses, and no secret. */
import { z } from 'zod';

export const stagedFile = z.object({
  bucket: z.string(),
  key: z.string(),
  uploadId: z.string(),
  sizeBytes: z.int(),
  partSizeBytes: z.int(),
  partsCount: z.int(),
});

export type StagedFile = z.infer<typeof stagedFile>;

const journalWithFile = z.object({ staged: stagedFile });

/** The file that a task's journal names; null where it names none (yet). */
export function stagedFileOf(journal: Record<string, unknown> | null): StagedFile | null {
  return journalWithFile.safeParse(journal).data?.staged ?? null;
}
