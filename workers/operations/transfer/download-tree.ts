/** A download of a tree: measured, then packed on its way into the staging store, where the client gets it. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { downloadTree } from '../../../shared/operations/transfer/download-tree.ts';
import { mayBeRepeated } from '../../transfers/carry-out.ts';
import { stagedOf } from '../../transfers/transfer-journal.ts';
import { packedFacts, packedOf } from '../../transfers/trees/tree-facts.ts';
import { atStage, readTreeJournal, type TreeJournal } from '../../transfers/trees/tree-journal.ts';
import { reportOf } from '../../transfers/trees/tree-report.ts';
import { beginningOf, measureOf, measureTree, packTree } from '../../transfers/trees/tree-stages.ts';
import { beginObject, clearStore, completeObject, storeBetween } from '../../transfers/trees/tree-store.ts';
import { withoutSlash } from '../../transfers/trees/tree-target.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';

type Input = InputOf<typeof downloadTree>;
type Result = ResultOf<typeof downloadTree>;

/** One look. An end that is not a good one leaves nothing in the store. */
export async function handleTransferDownloadTree(input: Input, context: OperationContext): Promise<Result | Parked> {
  const journal = readTreeJournal(context.journal.entry);
  if (journal === null) {
    refuseUnwanted(context);
    storeBetween(context, context);
    return measure(input, atStage({}, 'measure'), context);
  }
  try {
    return await (journal.stage === 'measure' ? measure(input, journal, context) : pack(input, journal, context));
  } catch (error) {
    if (mayBeRepeated(error)) throw error;
    await clearStore(journal, storeBetween(context, context).staging, context);
    throw error;
  }
}

async function measure(input: Input, journal: TreeJournal, context: OperationContext): Promise<Parked> {
  const { path } = input;
  const end = await measureTree(path, input, journal, context);
  if (end instanceof Parked) return end;
  reportOf(end, path);
  const measured = measureOf(end);
  if (measured.isFile) {
    throw new BrokerError('InvalidRequest', `cannot download '${path}': Not a directory; see transfer.download`);
  }
  const name = `${withoutSlash(path)}.tar`;
  const staged = await beginObject(name, measured.archiveBytes, storeBetween(context, context), context);
  const begun = atStage({ ...journal, measured, staged }, 'pack');
  return new Parked({ place: 'kept', waitMs: 0, journal: begun, progress: beginningOf(begun) });
}

async function pack(input: Input, journal: TreeJournal, context: OperationContext): Promise<Result | Parked> {
  const { path } = input;
  const store = storeBetween(context, context).accessOf(context);
  const end = await packTree({ path, sync: null, wish: input, store, listed: undefined }, journal, context);
  if (end instanceof Parked) return end;
  const report = reportOf(end, path);
  const staged = stagedOf(journal);
  const waiting = await completeObject(store.staging, staged, report, context);
  if (waiting !== null) return waiting;
  // The size was a bound until now; the API tells it.
  const { sizeBytes } = report;
  await context.journal.write({ ...journal, phase: 'ended', end, staged: { ...staged, sizeBytes } });
  return { path, ...packedFacts(sizeBytes, packedOf(report, end)) };
}
