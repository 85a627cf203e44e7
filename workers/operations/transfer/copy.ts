/**
 * A copy to another system: measured here, compared with what is there, packed on its way into a staging store, and
 * unpacked on its way out of it there. The archive that arrives must add up to what was packed.
 */
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { copyBetween } from '../../../shared/operations/transfer/copy.ts';
import { admitAnew, mayBeRepeated } from '../../transfers/carry-out.ts';
import { stagedOf } from '../../transfers/transfer-journal.ts';
import { copiedFacts, packedFacts, packedOf } from '../../transfers/trees/tree-facts.ts';
import { atStage, readTreeJournal, type TreeJournal } from '../../transfers/trees/tree-journal.ts';
import { reportOf } from '../../transfers/trees/tree-report.ts';
import {
  beginningOf,
  listTree,
  measureOf,
  measureTree,
  packTree,
  unpackTree,
} from '../../transfers/trees/tree-stages.ts';
import {
  beginObject,
  clearStore,
  completeObject,
  storeBetween,
  type TreeStore,
} from '../../transfers/trees/tree-store.ts';
import { checkTreeTarget, discardTree, withoutSlash } from '../../transfers/trees/tree-target.ts';
import { partialPath } from '../filesystem/partial-path.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';

type Input = InputOf<typeof copyBetween>;
type Result = ResultOf<typeof copyBetween>;

/** The two systems, and the store between them. */
interface Way {
  source: OperationContext;
  target: OperationContext;
  targetPath: string;
  store: TreeStore;
}

/** Bytes of the list of a target, at most. */
const listBytesMax = 2 ** 30;

/** One look. Whatever ends it for good leaves nothing behind, neither in the store nor on either system. */
export async function handleCopyBetween(input: Input, context: OperationContext): Promise<Result | Parked> {
  const other = context.onSystem(input.targetSystem);
  const store = storeBetween(context, other);
  const way: Way = {
    source: context,
    target: { ...context, ...other },
    targetPath: withoutSlash(input.targetPath),
    store,
  };
  const journal = readTreeJournal(context.journal.entry);
  if (journal === null) {
    refuseUnwanted(context);
    await admitTarget(input, way);
    return measure(input, atStage({}, 'measure'), way);
  }
  try {
    return await steps[journal.stage](input, journal, way);
  } catch (error) {
    if (mayBeRepeated(error)) throw error;
    await clearStore(journal, store.staging, context);
    await discardTree(way.targetPath, other, context);
    throw error;
  }
}

function admitTarget(input: Input, { source, target }: Way): Promise<void> {
  return target.pathGate.admit({ paths: ['targetPath'] }, input, source.signal);
}

type Step = (input: Input, journal: TreeJournal, way: Way) => Promise<Result | Parked>;

const steps: Readonly<Record<TreeJournal['stage'], Step>> = {
  measure,
  list,
  pack,
  unpack,
  // Nobody is waited for.
  wait: measure,
};

async function measure(input: Input, journal: TreeJournal, way: Way): Promise<Parked> {
  const { path, sync } = input;
  const end = await measureTree(path, input, journal, way.source);
  if (end instanceof Parked) return end;
  reportOf(end, path);
  const measured = measureOf(end);
  const wish = { merges: input.merge, isFile: measured.isFile };
  const isThere = await checkTreeTarget(way.targetPath, wish, way.target, way.target);
  if (!isThere || sync == null) return beginPacking(input, { ...journal, measured }, way);
  const listed = await beginObject('/goldcrest-list', listBytesMax, way.store, way.source);
  return next(atStage({ ...journal, measured, listed }, 'list'));
}

/** To the next stage, at once. */
function next(journal: TreeJournal): Parked {
  return new Parked({ place: 'kept', waitMs: 0, journal, progress: beginningOf(journal) });
}

async function beginPacking({ path }: Input, journal: TreeJournal, { store, source }: Way): Promise<Parked> {
  const bytesMax = journal.measured?.archiveBytes ?? 0;
  const staged = await beginObject(`${withoutSlash(path)}.tar`, bytesMax, store, source);
  return next(atStage({ ...journal, staged }, 'pack'));
}

async function list(input: Input, journal: TreeJournal, way: Way): Promise<Parked> {
  const store = way.store.accessOf(way.target);
  const wish = { path: way.targetPath, sync: input.sync ?? 'size', store, account: input.account };
  const end = await listTree(wish, journal, way.target);
  if (end instanceof Parked) return end;
  const report = reportOf(end, way.targetPath);
  const { listed } = journal;
  const waiting = listed === undefined ? null : await completeObject(store.staging, listed, report, way.source);
  return waiting ?? beginPacking(input, journal, way);
}

async function pack(input: Input, journal: TreeJournal, way: Way): Promise<Result | Parked> {
  const { path, sync } = input;
  const store = way.store.accessOf(way.source);
  const end = await packTree({ path, sync, wish: input, store, listed: journal.listed }, journal, way.source);
  if (end instanceof Parked) return end;
  const report = reportOf(end, path);
  const staged = stagedOf(journal);
  const waiting = await completeObject(store.staging, staged, report, way.source);
  if (waiting !== null) return waiting;
  const { sizeBytes } = report;
  const packed = packedOf(report, end);
  if (journal.measured?.isFile === true && packed.counts.copied === 0) {
    await clearStore(journal, store.staging, way.source);
    return { ...placeOf(input), ...packedFacts(sizeBytes, packed) };
  }
  return next(atStage({ ...journal, packed, staged: { ...staged, sizeBytes } }, 'unpack'));
}

async function unpack(input: Input, journal: TreeJournal, way: Way): Promise<Result | Parked> {
  const { targetPath, merge } = input;
  const { packed, measured } = journal;
  // Packing may have taken days: where the target lies is looked at once more.
  const later = journal.phase === 'prepared' ? await admitAnew(() => admitTarget(input, way), way.source) : null;
  if (later !== null) return later;
  const { sizeBytes } = stagedOf(journal);
  const store = way.store.accessOf(way.target);
  const part = partialPath(way.targetPath, way.source.task.id);
  const place = { part, target: way.targetPath, isFile: measured?.isFile === true, merges: merge };
  // What was the same was not packed.
  const wish = {
    sync: null,
    wish: { ...input, include: [], exclude: [] },
    sha256: packed?.sha256 ?? null,
    check: null,
    sizeBytes,
  };
  const end = await unpackTree({ ...place, ...wish, store }, journal, way.target);
  if (end instanceof Parked) return end;
  const report = reportOf(end, targetPath);
  await clearStore(journal, store.staging, way.source);
  const facts = copiedFacts(sizeBytes, packed ?? packedOf(report, end), report, end);
  return { ...placeOf(input), ...facts };
}

function placeOf({ path, targetSystem, targetPath }: Input) {
  return { path, targetSystem, targetPath };
}
