/** What the looks at one transfer of a tree tell each other, beyond what those at any transfer do. */
import { z } from 'zod';
import { stagedFile } from '../../../shared/tasks/staged-file.ts';
import { transferJournal } from '../transfer-journal.ts';

/** Of what was packed. */
const packed = z.object({
  sha256: z.string(),
  seconds: z.number(),
  counts: z.record(z.string(), z.number()),
  failures: z.array(z.object({ path: z.string(), reason: z.string() })),
  copiedPaths: z.array(z.string()),
  skippedPaths: z.array(z.string()),
});

const treeJournal = transferJournal.extend({
  /**
   * `measure`: the source is looked at. `list`: the target is listed, to compare with. `pack`: the source goes to the
   * store. `wait`: the client's archive is expected. `unpack`: it goes to the target.
   */
  stage: z.enum(['measure', 'list', 'pack', 'wait', 'unpack']),
  /** Of the source: entries and bytes of its files, most bytes of an archive of it, and whether it is one file. */
  measured: z.object({ entries: z.int(), bytes: z.int(), archiveBytes: z.int(), isFile: z.boolean() }).optional(),
  /** Where the list of the target is staged. */
  listed: stagedFile.optional(),
  packed: packed.optional(),
});

export type TreeJournal = z.infer<typeof treeJournal>;
export type TreeStage = TreeJournal['stage'];

/** The journal of earlier looks, or null. Throws ZodError for one that this version cannot read. */
export function readTreeJournal(entry: Record<string, unknown> | null): TreeJournal | null {
  return entry === null ? null : treeJournal.parse(entry);
}

/** The journal at the beginning of a stage: what was found out stays, how the last one went does not. */
export function atStage(journal: Partial<TreeJournal>, stage: TreeStage): TreeJournal {
  const { end: _end, runs = 0, runsBefore = 0, ...kept } = journal;
  const fresh = { phase: 'prepared', runs: 0, startedAt: 0, beat: 0, beatAt: 0 } as const;
  return { ...kept, stage, ...fresh, runsBefore: runsBefore + runs };
}
