/**
 * The mover for clusters that cannot reach the store: the bytes pass through the worker, part by part. A look lasts about
 * a second and each part that is done is journaled, so another worker goes on where this one stopped. Meanwhile a program
 * on the cluster hashes the file as it goes or comes, and checks it and puts it in place at the end.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { freePassed } from '../../shared/platform/free-passed.ts';
import type { StagedFile } from '../../shared/tasks/staged-file.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import { remoteFailure } from '../operations/remote-failure.ts';
import { carryOut, endWork, isUnwanted, mayBeRepeated, waitAfterFault } from './carry-out.ts';
import type { Mover } from './mover.ts';
import { moverExit } from './mover-programs.ts';
import { endedFromOutside, fetchPart, type PartRange, type Relay, sendPart, workIsOver } from './part-relay.ts';
import { openRelayHeap } from './relay-heap.ts';
import { allSentProgram, checkProgram, placeProgram } from './relay-programs.ts';
import { type RemoteWork, workName } from './remote-work.ts';
import { checkWords, digestOf } from './script-mover.ts';
import { movedPartBytes, stagingOf, whenStoreAnswers } from './staged-transfer.ts';
import { areOtherBytes, otherBytes } from './store-call.ts';
import type { StreamedPart, TransferJournal, WorkEnd } from './transfer-journal.ts';
import { transferProgress } from './transfer-progress.ts';
import { wayInto } from './way-in.ts';

/** A look lasts so long, and the parts more that are under way then. */
const lookMs = 5_000;
/** While the last bytes of one part are on their way, and whoever takes them answers, the next one begins. */
const partsAtOnce = 2;
/**
 * So many bytes before the end of the one before: two that move beside each other take twice the memory. One that goes to the store is
 * read and hashed first.
 */
const overlapBytes = { pull: 16 * 2 ** 20, push: 48 * 2 ** 20 };
/** Progress is told so often while parts move. */
const tellMs = 900;

/** What differs between the two directions. */
interface Way {
  path: string;
  sizeBytes: number;
  partSizeBytes: number;
  /** Bytes that are left of a part when the next one begins. */
  overlapBytes: number;
  /** What goes on on the cluster meanwhile; `areAllMoved`: from its beginning no part is to come. */
  argv: (areAllMoved: boolean) => RemoteWork['argv'];
  /** Parts that were moved are nowhere, where the cluster has lost what it kept of the work. */
  forgotten: Partial<TransferJournal>;
  /** Null: the work on the cluster has ended. */
  move: (range: PartRange, relay: Relay) => Promise<StreamedPart | null>;
  /** Safe to run twice. */
  whenMoved: () => Promise<void>;
}

export const streamMover: Mover = {
  async pull({ staged, partPath, path, sha256, check }, journal, context) {
    const { sizeBytes } = staged;
    const sizes = [sizeBytes, movedPartBytes].map(String);
    const sums = [sha256 ?? '', ...checkWords(check)];
    const way: Way = {
      ...{ path: partPath, sizeBytes, partSizeBytes: movedPartBytes, overlapBytes: overlapBytes.pull },
      argv: () => ['sh', '-c', placeProgram, 'goldcrest-pull', partPath, path, ...sizes, ...sums],
      forgotten: { streamed: [] },
      async move(range, relay) {
        const url = await stagingOf(context).signDownload(staged, 'cluster');
        return fetchPart(range, url, workName(context.task.id), relay);
      },
      whenMoved: async () => undefined,
    };
    const moved = await carry(way, sizeBytes === 0 ? 0 : partsOf(way), journal, context);
    if (moved instanceof Parked) return moved;
    const isUnlike = moved.end.exitCode === moverExit.unlike;
    if (isUnlike && moved.journal.isSecondGo !== true) return moveAgain(moved.journal);
    return { sha256: digestOf(moved.end, path), seconds: secondsOf(moved.journal, moved.end) };
  },

  async push({ staged, path, mtime }, journal, context) {
    const { sizeBytes, partSizeBytes } = staged;
    const facts = [path, String(sizeBytes), String(mtime)];
    const way: Way = {
      ...{ path, sizeBytes, partSizeBytes, overlapBytes: overlapBytes.push },
      argv: (areAllMoved) => ['sh', '-c', checkProgram, 'goldcrest-push', ...facts, areAllMoved ? 'sent' : ''],
      // The store has them.
      forgotten: {},
      async move(range, relay) {
        const send = async () =>
          sendPart(range, await wayInto(staged, range, stagingOf(context)), workName(context.task.id), relay);
        return twiceAtMost(send);
      },
      async whenMoved() {
        const argv = ['sh', '-c', allSentProgram, 'goldcrest-push', workName(context.task.id)];
        const result = await context.shell.run(argv);
        if (result.exitCode !== 0 && result.exitCode !== workIsOver) {
          throw endedFromOutside(result) ?? remoteFailure('sh', result);
        }
      },
    };
    const moved = await carry(way, partsOf(way), journal, context);
    if (moved instanceof Parked) return moved;
    const etags = (moved.journal.streamed ?? []).map(({ etag = '' }) => etag);
    return { sha256: digestOf(moved.end, path), seconds: secondsOf(moved.journal, moved.end), etags };
  },
};

/** Bytes that flip on their way come right another time; those of a file that somebody writes to need not, however often. */
async function twiceAtMost<T>(send: () => Promise<T>): Promise<T> {
  const first = await send().catch((error: unknown) => {
    if (!areOtherBytes(error)) throw error;
    return otherBytes;
  });
  if (first !== otherBytes) return first as T;
  return send().catch((error: unknown) => {
    if (!areOtherBytes(error)) throw error;
    const message =
      'Twice the store had not what was sent: the file changed while it was read, or the way to the store damages it.';
    throw new BrokerError('TransferFailed', message, { cause: error });
  });
}

function partsOf({ sizeBytes, partSizeBytes }: Pick<StagedFile, 'sizeBytes' | 'partSizeBytes'>): number {
  return Math.max(1, Math.ceil(sizeBytes / partSizeBytes));
}

/** The work on the cluster is begun, then the parts move, then its end is waited for. */
async function carry(
  way: Way,
  partsCount: number,
  journal: TransferJournal,
  context: OperationContext,
): Promise<{ journal: TransferJournal; end: WorkEnd } | Parked> {
  const follow = async (seen: TransferJournal) => {
    const areAllMoved = (seen.streamed?.length ?? 0) === partsCount;
    const work = {
      prepare: async () => ({ argv: way.argv(areAllMoved), input: '', isLong: true as const }),
      ...{ isRepeatable: true, account: null, totalBytes: null, forgotten: way.forgotten },
    };
    const end = await carryOut(work, seen, context);
    return end instanceof Parked ? end : { journal: seen, end };
  };
  const isBegun = journal.phase === 'working' || journal.phase === 'ended';
  if (isUnwanted(context) || journal.phase === 'ended') return follow(journal);
  let seen: TransferJournal = { ...journal, streamedFrom: journal.streamedFrom ?? Date.now() };
  if (!isBegun) {
    const begun = await follow(seen);
    // It has nothing to wait for, or found fault with the file.
    if (!(begun instanceof Parked)) {
      if (begun.end.exitCode !== 0 || partsCount === 0) return begun;
      throw new BrokerError('TransferFailed', 'The work on the cluster ended before the bytes had moved.');
    }
    seen = { ...seen, ...begun.options.journal };
  }
  try {
    const moved = await moveParts(way, partsCount, seen, context);
    return moved instanceof Parked ? moved : await follow(moved);
  } catch (error) {
    if (!mayBeRepeated(error)) await endWork(context);
    return waitAfterFault(error, context);
  }
}

/** The journal with every part in it, or with those until the work on the cluster ended; or that parts are left. */
async function moveParts(
  way: Way,
  partsCount: number,
  journal: TransferJournal,
  context: OperationContext,
): Promise<TransferJournal | Parked> {
  openRelayHeap();
  const until = Date.now() + lookMs;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  /** In their order, which is that of the journal. */
  const underWay: MovingPart[] = [];
  let seen = journal;
  let next = seen.streamed?.length ?? 0;
  let movedBytes = next * way.partSizeBytes;
  let signs = 0;
  const onBytes = (count: number): void => {
    movedBytes += count;
    signs += 1;
    // More is on its way here than elsewhere: what is dead is looked for twice as often.
    freePassed(2 * count);
  };
  // A part that is sent twice is counted twice.
  const progress = () => progressOf(seen, Math.min(movedBytes, way.sizeBytes), way.sizeBytes);
  const endTelling = tellMoving(
    () => signs,
    () => context.journal.writeMoving(seen, progress()),
    stop,
  );
  try {
    for (;;) {
      while (underWay.length < partsAtOnce && next < partsCount && Date.now() < until) {
        await underWay.at(-1)?.nearEnd;
        if (Date.now() >= until) break;
        underWay.push(movePart(way, next, { shell: context.shell, signal, onBytes }, context));
        next += 1;
      }
      const first = underWay.shift();
      if (first === undefined) break;
      const part = await first.end;
      if (part instanceof Parked) return part;
      if (part === null) return seen;
      seen = { ...seen, streamed: [...(seen.streamed ?? []), part], streamedUntil: Date.now() };
      await context.journal.write(seen);
    }
    if (next < partsCount) return new Parked({ place: 'kept', waitMs: 0, journal: seen, progress: progress() });
    await way.whenMoved();
    return seen;
  } finally {
    endTelling();
    stop.abort();
    await Promise.allSettled(underWay.map(({ end }) => end));
  }
}

/** Tells now and then how far it is; without a new sign of life the time limit goes on. What the telling throws stops the parts. */
function tellMoving(signs: () => number, tell: () => Promise<void>, stop: AbortController): () => void {
  let told = signs();
  const timer = setInterval(() => {
    if (signs() === told) return;
    told = signs();
    tell().catch((error: unknown) => stop.abort(error));
  }, tellMs);
  return () => clearInterval(timer);
}

interface MovingPart {
  /** What came of it. */
  end: Promise<StreamedPart | Parked | null>;
  /** Resolves when the next part may begin, at the end of this one at the latest. */
  nearEnd: Promise<void>;
}

function movePart(way: Way, number: number, relay: Relay, context: OperationContext): MovingPart {
  const offsetBytes = number * way.partSizeBytes;
  const sizeBytes = Math.min(way.partSizeBytes, way.sizeBytes - offsetBytes);
  const range = { path: way.path, number, offsetBytes, sizeBytes };
  let isNear = (): void => undefined;
  const nearEnd = new Promise<void>((resolve) => {
    isNear = resolve;
  });
  let left = sizeBytes;
  const onBytes = (count: number): void => {
    relay.onBytes(count);
    left -= count;
    if (left <= way.overlapBytes) isNear();
  };
  if (left <= way.overlapBytes) isNear();
  const end = whenStoreAnswers(() => way.move(range, { ...relay, onBytes }), 'kept', context);
  end.then(isNear, isNear); // what it threw is told in its turn
  return { end, nearEnd };
}

/** Which part was damaged nobody can tell: all of them once more. */
function moveAgain({ end: _end, ...moved }: TransferJournal): Parked {
  const again = { phase: 'arrived', runs: 0, streamed: [], isSecondGo: true } as const;
  return new Parked({ place: 'kept', waitMs: 0, journal: { ...moved, ...again } });
}

function progressOf({ streamedFrom = 0 }: TransferJournal, done: number, total: number) {
  return transferProgress(done, total, streamedFrom);
}

function secondsOf({ streamedFrom = 0, streamedUntil = 0 }: TransferJournal, { seconds }: WorkEnd): number {
  // Hashing begins before the first part and ends after the last.
  return Math.max(seconds, Math.round((streamedUntil - streamedFrom) / 10) / 100);
}
