/**
 * The mover for clusters that cannot reach the store: the bytes pass through the worker, part by part. A look lasts about
 * a second and each part is journaled when it is done, so another worker goes on where this one stopped. At the end the
 * cluster checks the file against what passed here, part by part, and tells the digest of the whole.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { StagedFile } from '../../shared/tasks/staged-file.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import { refuseUnwanted } from '../operations/refuse-unwanted.ts';
import { carryOut } from './carry-out.ts';
import type { Mover } from './mover.ts';
import { checkProgram, moverExit, placeProgram } from './mover-programs.ts';
import { fetchPart, type PartRange, sendPart } from './part-relay.ts';
import { checkWords, digestOf } from './script-mover.ts';
import { movedPartBytes, stagingOf, whenStoreAnswers } from './staged-transfer.ts';
import type { StreamedPart, TransferJournal } from './transfer-journal.ts';
import { transferProgress } from './transfer-progress.ts';
import { explainWrite } from './write-fault.ts';

/** A look lasts so long, and a part more. */
const lookMs = 1_000;

export const streamMover: Mover = {
  async pull({ staged, partPath, path, sha256, check, account }, journal, context) {
    const move = async (range: PartRange): Promise<StreamedPart> => {
      const url = await stagingOf(context).signDownload(staged, 'cluster');
      return fetchPart(range, url, context.files, context.signal).catch(async (error: unknown) => {
        throw await explainWrite(error, partPath, context);
      });
    };
    const cut = { ...staged, partSizeBytes: movedPartBytes };
    const moved = await moveParts(partPath, cut, journal, context, move);
    if (moved instanceof Parked) return moved;
    const settings = [staged.sizeBytes, movedPartBytes].map(String);
    const sums = [sha256 ?? '', ...checkWords(check)];
    const argv = ['sh', '-c', placeProgram, 'goldcrest-pull', partPath, path, ...settings, ...sums];
    const prepare = async () => ({ argv, input: digests(moved) });
    const end = await carryOut({ prepare, account, isRepeatable: true, totalBytes: null }, moved, context);
    if (end instanceof Parked) return end;
    if (end.exitCode === moverExit.unlike && moved.isSecondGo !== true) return moveAgain(moved);
    return { sha256: digestOf(end, path), seconds: secondsOf(moved, end.seconds) };
  },

  async push({ staged, path, mtime, account }, journal, context) {
    const move = async (range: PartRange, number: number): Promise<StreamedPart> => {
      const [url = ''] = await stagingOf(context).signParts(staged, number + 1, 1, 'cluster');
      return sendPart(range, url, context.files, context.signal);
    };
    const moved = await moveParts(path, staged, journal, context, move);
    if (moved instanceof Parked) return moved;
    const settings = [staged.sizeBytes, mtime, staged.partSizeBytes].map(String);
    const argv = ['sh', '-c', checkProgram, 'goldcrest-push', path, ...settings];
    const prepare = async () => ({ argv, input: digests(moved) });
    const end = await carryOut({ prepare, account, isRepeatable: true, totalBytes: null }, moved, context);
    if (end instanceof Parked) return end;
    const etags = (moved.streamed ?? []).map(({ etag = '' }) => etag);
    return { sha256: digestOf(end, path), seconds: secondsOf(moved, end.seconds), etags };
  },
};

/** The journal with every part in it, or that parts are left. */
async function moveParts(
  path: string,
  { sizeBytes, partSizeBytes }: Pick<StagedFile, 'sizeBytes' | 'partSizeBytes'>,
  journal: TransferJournal,
  context: OperationContext,
  move: (range: PartRange, number: number) => Promise<StreamedPart>,
): Promise<TransferJournal | Parked> {
  if (journal.phase === 'working' || journal.phase === 'ended') return journal;
  const partsCount = Math.max(1, Math.ceil(sizeBytes / partSizeBytes));
  const until = Date.now() + lookMs;
  let seen: TransferJournal = { ...journal, streamedFrom: journal.streamedFrom ?? Date.now() };
  while ((seen.streamed?.length ?? 0) < partsCount) {
    refuseUnwanted(context);
    const number = seen.streamed?.length ?? 0;
    if (Date.now() >= until) return goOn(seen, number * partSizeBytes, sizeBytes);
    const offsetBytes = number * partSizeBytes;
    const range = { path, offsetBytes, sizeBytes: Math.min(partSizeBytes, sizeBytes - offsetBytes) };
    const part = await whenStoreAnswers(() => move(range, number), 'kept', context);
    if (part instanceof Parked) return part;
    seen = { ...seen, streamed: [...(seen.streamed ?? []), part], streamedUntil: Date.now() };
    await context.journal.write(seen);
  }
  return seen;
}

/** Which part was damaged nobody can tell: all of them once more. */
function moveAgain({ end: _end, ...moved }: TransferJournal): Parked {
  return new Parked({
    place: 'kept',
    waitMs: 0,
    journal: { ...moved, phase: 'arrived', runs: 0, streamed: [], isSecondGo: true },
  });
}

function goOn(journal: TransferJournal, done: number, total: number): Parked {
  const progress = transferProgress(done, total, journal.streamedFrom ?? 0);
  return new Parked({ place: 'kept', waitMs: 0, journal, progress });
}

function digests({ streamed = [] }: TransferJournal): string {
  return streamed.map(({ sha256 }) => `${sha256}\n`).join('');
}

function secondsOf({ streamedFrom = 0, streamedUntil = 0 }: TransferJournal, checkSeconds: number): number {
  if (streamedUntil === 0) throw new BrokerError('Internal', 'The journal of the transfer has no parts.');
  return Math.round((streamedUntil - streamedFrom) / 10) / 100 + checkSeconds;
}
