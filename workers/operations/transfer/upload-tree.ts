/**
 * An upload of a tree. The client puts a tar archive into the staging store in its own time, for which nobody waits; when
 * it is complete, it is unpacked beside the target on its way from there, checked, and put in place.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { uploadTree } from '../../../shared/operations/transfer/upload-tree.ts';
import { admitAnew, isUnwanted, mayBeRepeated } from '../../transfers/carry-out.ts';
import { clientWaitMs } from '../../transfers/client-wait.ts';
import { objectCheckOf } from '../../transfers/object-check.ts';
import { movedPartBytes, whenStoreAnswers } from '../../transfers/staged-transfer.ts';
import { stagedOf } from '../../transfers/transfer-journal.ts';
import { unpackedFacts } from '../../transfers/trees/tree-facts.ts';
import { atStage, readTreeJournal, type TreeJournal } from '../../transfers/trees/tree-journal.ts';
import { reportOf } from '../../transfers/trees/tree-report.ts';
import { unpackTree } from '../../transfers/trees/tree-stages.ts';
import { beginObject, clearStore, storeBetween } from '../../transfers/trees/tree-store.ts';
import { checkTreeTarget, discardTree, withoutSlash } from '../../transfers/trees/tree-target.ts';
import { partialPath } from '../filesystem/partial-path.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';

type Input = InputOf<typeof uploadTree>;
type Result = ResultOf<typeof uploadTree>;

/** One look. Whatever ends it for good leaves nothing behind, neither in the store nor on the cluster. */
export async function handleTransferUploadTree(input: Input, context: OperationContext): Promise<Result | Parked> {
  const journal = readTreeJournal(context.journal.entry);
  if (journal === null) return prepare(input, context);
  try {
    return await (journal.stage === 'wait' ? waitForClient(journal, context) : unpack(input, journal, context));
  } catch (error) {
    if (mayBeRepeated(error)) throw error;
    await clearStore(journal, storeBetween(context, context).staging, context);
    await discardTree(withoutSlash(input.path), context, context);
    throw error;
  }
}

async function prepare({ path, archiveBytesMax, merge }: Input, context: OperationContext): Promise<Parked> {
  refuseUnwanted(context);
  const target = withoutSlash(path);
  await checkTreeTarget(target, { merges: merge, isFile: false }, context, context);
  const { dataTransfer } = context.system.dataOperation;
  const partBytes = dataTransfer?.type === 's3' ? dataTransfer.multipart.partSizeBytesMax : movedPartBytes;
  const staged = await beginObject(
    `${target}.tar`,
    archiveBytesMax,
    storeBetween(context, context),
    context,
    partBytes,
  );
  return parkWaiting(atStage({ staged }, 'wait'), context);
}

function parkWaiting(journal: TreeJournal, { task }: OperationContext): Parked {
  const waitMs = clientWaitMs(Date.now() - task.createdAt);
  const progress = { done: 0, total: null, unit: 'bytes' as const, message: 'waiting for the client' };
  return new Parked({ place: 'aside', waitMs, journal, progress });
}

/** The object is there when the client has completed its upload, and not before. */
async function waitForClient(journal: TreeJournal, context: OperationContext): Promise<Parked> {
  if (isUnwanted(context)) {
    if (context.task.isCancelRequested) throw new BrokerError('TaskCanceled', 'The task was canceled.');
    throw new BrokerError('DeadlineExceeded', 'The client did not complete its upload before the deadline.');
  }
  const staged = stagedOf(journal);
  const { staging } = storeBetween(context, context);
  const object = await whenStoreAnswers(() => staging.look(staged), 'aside', context);
  if (object instanceof Parked) return object;
  if (object === null) return parkWaiting(journal, context);
  if (object.sizeBytes > staged.sizeBytes) {
    const sizes = `${object.sizeBytes} bytes were uploaded, more than the ${staged.sizeBytes} that were announced`;
    throw new BrokerError('TransferFailed', `The upload is not what it should be: ${sizes}.`);
  }
  const told = object.etag === null ? {} : { etag: object.etag };
  const arrived = { ...journal, ...told, staged: { ...staged, sizeBytes: object.sizeBytes } };
  return new Parked({ place: 'turn', waitMs: 0, journal: atStage(arrived, 'unpack') });
}

async function unpack(input: Input, journal: TreeJournal, context: OperationContext): Promise<Result | Parked> {
  const { path, merge, sync } = input;
  // Its client may have taken days: where the path lies is looked at once more.
  const admit = () => context.pathGate.admit(uploadTree, input, context.signal);
  const later = journal.phase === 'prepared' ? await admitAnew(admit, context) : null;
  if (later !== null) return later;
  const target = withoutSlash(path);
  const staged = stagedOf(journal);
  const { sizeBytes } = staged;
  const store = storeBetween(context, context).accessOf(context);
  const part = partialPath(target, context.task.id);
  const sha256 = input.sha256 ?? null;
  const wish = {
    part,
    target,
    isFile: false,
    merges: merge,
    sync,
    wish: input,
    sha256,
    check: journal.etag === undefined ? null : objectCheckOf(staged, journal.etag, sha256),
    sizeBytes,
  };
  const end = await unpackTree({ ...wish, store }, journal, context);
  if (end instanceof Parked) return end;
  const report = reportOf(end, path);
  await clearStore(journal, store.staging, context);
  return { path, ...unpackedFacts(sizeBytes, report, end) };
}
