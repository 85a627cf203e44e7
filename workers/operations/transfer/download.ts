/**
 * A download through the staging store: a mover on the cluster puts the file there in parts, and the client gets it at the
 * address that it was given at the beginning.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { stagedDownload } from '../../../shared/operations/transfer/download.ts';
import { objectBytesMax } from '../../../shared/staging/part-plan.ts';
import { isUnwanted, mayBeRepeated } from '../../transfers/carry-out.ts';
import { moverOf } from '../../transfers/choose-mover.ts';
import {
  beginStaging,
  lanesOf,
  movedFacts,
  sentPartBytes,
  stagingOf,
  unstage,
  whenStoreAnswers,
} from '../../transfers/staged-transfer.ts';
import { streamFile } from '../../transfers/streamer/stream-file.ts';
import { newTransferJournal, readTransferJournal, type TransferJournal } from '../../transfers/transfer-journal.ts';
import { passThroughWormhole } from '../../transfers/wormhole/wormhole-file.ts';
import { isDirectory, isRegularFile } from '../filesystem/mode-letters.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';

type Input = InputOf<typeof stagedDownload>;
type Result = ResultOf<typeof stagedDownload>;

/** One look. An end that is not a good one leaves nothing in the store. */
export async function handleTransferDownload(input: Input, context: OperationContext): Promise<Result | Parked> {
  const journal = readTransferJournal(context.journal.entry);
  const { transferMethod } = input.transferDirectives;
  if (transferMethod === 'streamer') return sendStream(input, journal, context);
  if (transferMethod === 'wormhole') return sendThroughWormhole(input, journal, context);
  if (journal === null) return prepare(input, context);
  try {
    return await sendParts(input, journal, context);
  } catch (error) {
    if (mayBeRepeated(error)) throw error;
    await unstage(journal, context);
    throw error;
  }
}

async function prepare({ path }: Input, context: OperationContext): Promise<Parked> {
  refuseUnwanted(context);
  const { sizeBytes, mtime } = await checkSource(path, context);
  const { dataTransfer } = context.system.dataOperation;
  const partBytes = sentPartBytes(sizeBytes, lanesOf(context));
  const partBytesMax = dataTransfer?.type === 's3' ? dataTransfer.multipart.partSizeBytesMax : partBytes;
  const staged = await beginStaging(path, sizeBytes, wholeMebibytes(Math.min(partBytesMax, partBytes)), context);
  const journal: TransferJournal = { phase: 'prepared', staged, mtime, runs: 0, startedAt: 0, beat: 0, beatAt: 0 };
  return new Parked({ place: 'kept', waitMs: 0, journal });
}

/** Straight to the client. */
async function sendStream(
  { path, account }: Input,
  journal: TransferJournal | null,
  context: OperationContext,
): Promise<Result | Parked> {
  if (journal === null) refuseUnwanted(context);
  const sizeBytes = journal === null ? (await checkSource(path, context)).sizeBytes : null;
  const wish = { way: 'send' as const, path, partPath: '', account, sizeBytes };
  const end = await streamFile(wish, journal ?? newTransferJournal, context);
  return end instanceof Parked ? end : { path, ...movedFacts(end.bytes, end) };
}

async function sendThroughWormhole(
  { path }: Input,
  journal: TransferJournal | null,
  context: OperationContext,
): Promise<Result | Parked> {
  if (journal === null) refuseUnwanted(context);
  const sizeBytes = journal === null ? (await checkSource(path, context)).sizeBytes : null;
  const wish = { way: 'send' as const, path, partPath: '', sentCode: null, sha256: null, sizeBytes };
  const end = await passThroughWormhole(wish, journal ?? newTransferJournal, context);
  return end instanceof Parked ? end : { path, ...movedFacts(end.bytes, end) };
}

/** dd counts in MiB. */
function wholeMebibytes(bytes: number): number {
  return Math.floor(bytes / 2 ** 20) * 2 ** 20;
}

async function checkSource(path: string, { files, shell, signal }: OperationContext) {
  const found = await files.stat(path, { signal });
  const refused = (reason: string) => new BrokerError('InvalidRequest', `cannot download '${path}': ${reason}`);
  if (isDirectory(found.mode)) throw refused('Is a directory');
  if (!isRegularFile(found.mode)) throw refused('Not a regular file');
  if (found.sizeBytes > objectBytesMax) throw refused(`it has more than the ${objectBytesMax} bytes of an S3 object`);
  const { exitCode } = await shell.run(['test', '-r', path], { signal });
  if (exitCode !== 0) throw new BrokerError('PermissionDenied', `cannot open '${path}' for reading: Permission denied`);
  return found;
}

async function sendParts(
  { path, account }: Input,
  journal: TransferJournal,
  context: OperationContext,
): Promise<Result | Parked> {
  const { staged, mtime } = journal;
  if (staged === undefined) throw new BrokerError('Internal', 'The journal of the transfer names no staged file.');
  const end = await moverOf(context).push({ staged, path, mtime: mtime ?? 0, account }, journal, context);
  if (end instanceof Parked) return end;
  if (isUnwanted(context)) {
    if (context.task.isCancelRequested) throw new BrokerError('TaskCanceled', 'The task was canceled.');
    throw new BrokerError('DeadlineExceeded', 'The deadline of the task passed.');
  }
  const completed = await whenStoreAnswers(() => stagingOf(context).completeUpload(staged, end.etags), 'kept', context);
  if (completed instanceof Parked) return completed;
  await stagingOf(context)
    .abortUploads(staged)
    .catch((error: unknown) => context.log.warn({ err: error, key: staged.key }, 'begun uploads may be left'));
  return { path, ...movedFacts(staged.sizeBytes, end) };
}
