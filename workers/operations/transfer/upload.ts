/**
 * An upload through the staging store. The client puts parts there in its own time, for which nobody waits; when they
 * are complete, a mover on the cluster fetches them beside the target, checks them and gives them its name.
 */
import { posix } from 'node:path';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { stagedUpload } from '../../../shared/operations/transfer/upload.ts';
import type { StagedFile } from '../../../shared/tasks/staged-file.ts';
import { admitAnew, isUnwanted, mayBeRepeated } from '../../transfers/carry-out.ts';
import { moverOf } from '../../transfers/choose-mover.ts';
import { clientWaitMs } from '../../transfers/client-wait.ts';
import { objectCheckOf } from '../../transfers/object-check.ts';
import {
  beginStaging,
  movedFacts,
  movedPartBytes,
  removeStaged,
  stagingOf,
  unstage,
  whenStoreAnswers,
} from '../../transfers/staged-transfer.ts';
import { streamFile } from '../../transfers/streamer/stream-file.ts';
import { checkRoom } from '../../transfers/target-room.ts';
import {
  newTransferJournal,
  readTransferJournal,
  stagedOf,
  type TransferJournal,
} from '../../transfers/transfer-journal.ts';
import { commandSuffix, passThroughWormhole } from '../../transfers/wormhole/wormhole-file.ts';
import { isDirectory, isRegularFile, isSymbolicLink } from '../filesystem/mode-letters.ts';
import { partialPath } from '../filesystem/partial-path.ts';
import { unlessMissing } from '../filesystem/unless-missing.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';

type Input = InputOf<typeof stagedUpload>;
type Result = ResultOf<typeof stagedUpload>;

/** One look. Whatever ends it for good leaves nothing behind, neither in the store nor on the cluster. */
export async function handleTransferUpload(input: Input, context: OperationContext): Promise<Result | Parked> {
  const journal = readTransferJournal(context.journal.entry);
  const { transferMethod } = input.transferDirectives;
  if (transferMethod === 'streamer') return receiveStream(input, journal, context);
  if (transferMethod === 'wormhole') return receiveThroughWormhole(input, journal, context);
  if (journal === null) return prepare(input, context);
  try {
    return await (journal.phase === 'waiting' ? waitForClient(journal, context) : fetchParts(input, journal, context));
  } catch (error) {
    if (mayBeRepeated(error)) throw error;
    await unstage(journal, context);
    await discardPart(input.path, context);
    throw error;
  }
}

/** Everything that can be known to fail is looked at before the client sends a byte. */
async function prepare({ path, transferDirectives }: Input, context: OperationContext): Promise<Parked> {
  refuseUnwanted(context);
  const sizeBytes = transferDirectives.fileSize ?? 0;
  const quotaBytesLeft = await checkTarget(path, sizeBytes, context);
  const { dataTransfer } = context.system.dataOperation;
  const partBytes = dataTransfer?.type === 's3' ? dataTransfer.multipart.partSizeBytesMax : movedPartBytes;
  const staged = await beginStaging(path, sizeBytes, partBytes, context);
  return parkWaiting(
    { phase: 'waiting', staged, quotaBytesLeft, runs: 0, startedAt: 0, beat: 0, beatAt: 0 },
    staged,
    context,
  );
}

/** Bytes left of the user's quota, or null. */
async function checkTarget(path: string, sizeBytes: number, context: OperationContext): Promise<number | null> {
  const { files, signal } = context;
  const refused = (reason: string) => new BrokerError('InvalidRequest', `cannot upload to '${path}': ${reason}`);
  if (path.endsWith('/')) throw refused('Is a directory');
  const found = await unlessMissing(files.lstat(path, { signal }));
  if (found !== null && isDirectory(found.mode)) throw refused('Is a directory');
  if (found !== null && !isRegularFile(found.mode) && !isSymbolicLink(found.mode)) throw refused('Not a regular file');
  const parent = posix.dirname(path);
  if (!isDirectory((await files.stat(parent, { signal })).mode)) {
    throw new BrokerError('FileNotFound', `cannot create regular file '${path}': Not a directory`);
  }
  return checkRoom({ path, directory: parent, sizeBytes }, context);
}

function parkWaiting(journal: TransferJournal, staged: StagedFile, { task }: OperationContext): Parked {
  const waitMs = clientWaitMs(Date.now() - task.createdAt);
  const progress = { done: 0, total: staged.sizeBytes, unit: 'bytes' as const, message: 'waiting for the client' };
  return new Parked({ place: 'aside', waitMs, journal, progress });
}

/** The object is there when the client has completed its upload, and not before. */
async function waitForClient(journal: TransferJournal, context: OperationContext): Promise<Parked> {
  if (isUnwanted(context)) {
    if (context.task.isCancelRequested) throw new BrokerError('TaskCanceled', 'The task was canceled.');
    throw new BrokerError('DeadlineExceeded', 'The client did not complete its upload before the deadline.');
  }
  const staged = stagedOf(journal);
  const object = await whenStoreAnswers(() => stagingOf(context).look(staged), 'aside', context);
  if (object instanceof Parked) return object;
  if (object === null) return parkWaiting(journal, staged, context);
  if (object.sizeBytes !== staged.sizeBytes) {
    const sizes = `${object.sizeBytes} bytes were uploaded, not the ${staged.sizeBytes} that were announced`;
    throw new BrokerError('TransferFailed', `The upload is not what it should be: ${sizes}.`);
  }
  const told = object.etag === null ? {} : { etag: object.etag };
  return new Parked({ place: 'turn', waitMs: 0, journal: { ...journal, ...told, phase: 'arrived' } });
}

async function fetchParts(input: Input, journal: TransferJournal, context: OperationContext): Promise<Result | Parked> {
  const { path, account, transferDirectives } = input;
  // Its client may have taken days: where the path lies is looked at once more.
  const admit = () => context.pathGate.admit(stagedUpload, input, context.signal);
  const later = journal.phase === 'arrived' ? await admitAnew(admit, context) : null;
  if (later !== null) return later;
  const staged = stagedOf(journal);
  const partPath = partialPath(path, context.task.id);
  const sha256 = transferDirectives.sha256 ?? null;
  const check = journal.etag === undefined ? null : objectCheckOf(staged, journal.etag, sha256);
  const end = await moverOf(context).pull({ staged, partPath, path, sha256, check, account }, journal, context);
  if (end instanceof Parked) return end;
  await removeStaged(staged, context);
  return { path, ...movedFacts(staged.sizeBytes, end), quotaBytesLeft: journal.quotaBytesLeft ?? null };
}

/** Straight from the client. As with FirecREST v2, a file that is there is not replaced. */
async function receiveStream(
  { path, account, transferDirectives }: Input,
  journal: TransferJournal | null,
  context: OperationContext,
): Promise<Result | Parked> {
  const sizeBytes = transferDirectives.fileSize ?? null;
  let known = journal;
  if (known === null) {
    refuseUnwanted(context);
    known = { ...newTransferJournal, quotaBytesLeft: await checkTarget(path, sizeBytes ?? 0, context) };
    const found = await unlessMissing(context.files.lstat(path, { signal: context.signal }));
    if (found !== null) throw new BrokerError('PermissionDenied', `Target file '${path}' already exists.`);
  }
  const partPath = partialPath(path, context.task.id);
  try {
    const wish = { way: 'receive' as const, path, partPath, account, sizeBytes };
    const end = await streamFile(wish, known, context);
    if (end instanceof Parked) return end;
    return { path, ...movedFacts(end.bytes, end), quotaBytesLeft: known.quotaBytesLeft ?? null };
  } catch (error) {
    if (!mayBeRepeated(error)) await discardPart(path, context);
    throw error;
  }
}

/** Straight from the client; a file that is there stays until the new one is whole. */
async function receiveThroughWormhole(
  { path, transferDirectives }: Input,
  journal: TransferJournal | null,
  context: OperationContext,
): Promise<Result | Parked> {
  const { fileSize, sha256, wormholeCode } = transferDirectives;
  let known = journal;
  if (known === null) {
    refuseUnwanted(context);
    known = { ...newTransferJournal, quotaBytesLeft: await checkTarget(path, fileSize ?? 0, context) };
  }
  const partPath = partialPath(path, context.task.id, commandSuffix.length);
  const expected = { sentCode: wormholeCode ?? null, sha256: sha256 ?? null, sizeBytes: fileSize ?? null };
  try {
    const end = await passThroughWormhole({ way: 'receive', path, partPath, ...expected }, known, context);
    if (end instanceof Parked) return end;
    return { path, ...movedFacts(end.bytes, end), quotaBytesLeft: known.quotaBytesLeft ?? null };
  } catch (error) {
    if (!mayBeRepeated(error)) {
      await discard(partPath, context);
      await discard(`${partPath}${commandSuffix}`, context);
    }
    throw error;
  }
}

function discardPart(path: string, context: OperationContext): Promise<void> {
  return discard(partialPath(path, context.task.id), context);
}

async function discard(part: string, { files, log }: OperationContext): Promise<void> {
  await unlessMissing(files.unlink(part)).catch((error: unknown) => {
    log.warn({ part, err: error }, 'a partial file was left behind');
  });
}
