/** The result of a transfer of a tree, from what its two ends told. */
import { movedFacts } from '../staged-transfer.ts';
import type { WorkEnd } from '../transfer-journal.ts';
import type { TreeJournal } from './tree-journal.ts';
import { failuresOf, type TreeReport } from './tree-report.ts';
import { treeNamesMax } from './walk-program.ts';

type Counts = ReadonlyMap<string, number>;
type Packed = NonNullable<TreeJournal['packed']>;

function amountOf(counts: Counts, kind: 'copied' | 'skipped') {
  return { entries: counts.get(kind) ?? 0, bytes: counts.get(`${kind}-bytes`) ?? 0 };
}

function countsIn(counts: Counts) {
  const number = (name: string) => counts.get(name) ?? 0;
  return {
    entries: number('entries'),
    files: number('files'),
    directories: number('directories'),
    links: number('links'),
    contentBytes: number('bytes'),
  };
}

/** Of an end that packed: for the journal, until the other end has told its part. */
export function packedOf(report: TreeReport, { seconds }: Pick<WorkEnd, 'seconds'>): Packed {
  const { sha256, counts, failures, copiedPaths, skippedPaths } = report;
  return {
    sha256: sha256 ?? '',
    seconds,
    counts: Object.fromEntries(counts),
    failures,
    // Where all of it is new, its names say nothing.
    copiedPaths: (counts.get('skipped') ?? 0) > 0 ? copiedPaths : [],
    skippedPaths,
  };
}

/** Of a tree that was packed and not unpacked. */
export function packedFacts(bytes: number, packed: Packed) {
  const counts = new Map(Object.entries(packed.counts));
  const { sha256, seconds, copiedPaths, skippedPaths, failures } = packed;
  return {
    ...movedFacts(bytes, { sha256, seconds }),
    ...countsIn(counts),
    copied: amountOf(counts, 'copied'),
    skipped: amountOf(counts, 'skipped'),
    ...{ copiedPaths, skippedPaths, failures },
    failuresCount: counts.get('failures') ?? 0,
  };
}

/** Of a tree that was unpacked; where it was merged with one that was there, that says what was copied. */
export function unpackedFacts(bytes: number, report: TreeReport, end: WorkEnd) {
  const { counts, unpacked, sha256, copiedPaths, skippedPaths, failures } = report;
  const placed = (counts.get('entries') ?? 0) > 0 ? counts : unpacked;
  return {
    ...movedFacts(bytes, { sha256: sha256 ?? '', seconds: end.seconds }),
    ...countsIn(unpacked),
    copied: amountOf(placed, 'copied'),
    skipped: amountOf(placed, 'skipped'),
    ...{ copiedPaths, skippedPaths, failures },
    failuresCount: failuresOf(report),
  };
}

/** Of a tree that went all the way: the packing end says what was copied, both say what failed. */
export function copiedFacts(bytes: number, packed: Packed, report: TreeReport, end: WorkEnd) {
  const facts = packedFacts(bytes, packed);
  const seconds = packed.seconds + end.seconds;
  return {
    ...facts,
    ...movedFacts(bytes, { sha256: packed.sha256, seconds }),
    failures: [...packed.failures, ...report.failures].slice(0, treeNamesMax),
    failuresCount: facts.failuresCount + failuresOf(report),
  };
}
