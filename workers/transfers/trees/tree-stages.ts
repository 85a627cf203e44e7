/** The steps that transfers of trees are made of. Each is work on one system, and is carried out a look at a time. */
import type { Word } from '../../../shared/commands/command-line.ts';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Audience, Staging } from '../../../shared/staging/staging.ts';
import type { StagedFile } from '../../../shared/tasks/staged-file.ts';
import type { Progress } from '../../../shared/tasks/task.ts';
import type { OperationContext } from '../../operations/operation-context.ts';
import type { Parked } from '../../operations/parked.ts';
import { carryOut } from '../carry-out.ts';
import type { ObjectCheck } from '../object-check.ts';
import type { WorkReport } from '../remote-work.ts';
import { checkWords, continuedExits } from '../script-mover.ts';
import { lanesOf } from '../staged-transfer.ts';
import { stagedOf, type WorkEnd } from '../transfer-journal.ts';
import type { PlaceContext } from '../work-place.ts';
import { entryBytesMax, treePackProgram } from './pack-program.ts';
import { treePlaceProgram } from './place-program.ts';
import { treeLookProgram, treePullProgram, treePushProgram } from './stream-programs.ts';
import type { TreeJournal } from './tree-journal.ts';
import { parseTreeReport } from './tree-report.ts';
import { treeUnpackProgram } from './unpack-program.ts';
import { treeWalkProgram } from './walk-program.ts';

/** Bytes of a part, and of a range, that stands on the disk until it is sent or read. */
export const treePartBytes = 16 * 2 ** 20;
/** Of them all at a time, where parts are larger than that. */
const heldBytesMax = 512 * 2 ** 20;

/** What the filters of an operation's input are on a command line. */
export interface TreeWish {
  include: readonly string[];
  exclude: readonly string[];
  skipFailures: boolean;
  /** Charged where the work is a batch job. */
  account: string | null;
}

/** A store as one system uses it. */
export interface StoreAccess {
  staging: Staging;
  audience: Audience;
}

function filterWords({ include, exclude }: TreeWish): string[] {
  return [...include.flatMap((text) => ['include', text]), ...exclude.flatMap((text) => ['exclude', text])];
}

function flag(isSet: boolean): string {
  return isSet ? '1' : '0';
}

function held(partBytes: number, context: Pick<OperationContext, 'system'>): string {
  return String(Math.max(1, Math.min(lanesOf(context), Math.floor(heldBytesMax / partBytes))));
}

/** By what the program over the tree tells; `measured` null: nobody has counted before. */
function progressOf(message: string, measured: { entries: number; bytes: number } | null) {
  return ({ tree, doneBytes }: WorkReport, seconds: number): Progress => {
    const done = tree?.bytes ?? doneBytes;
    return {
      done,
      total: measured?.bytes ?? null,
      unit: 'bytes',
      message,
      ...(seconds > 0 ? { bytesPerSecond: Math.round(done / seconds) } : {}),
      ...(tree === null ? {} : { entries: tree.entries }),
      ...(measured === null || measured.entries === 0 ? {} : { entriesTotal: measured.entries }),
    };
  };
}

/** At the beginning of a stage. */
export function beginningOf({ stage, measured }: Pick<TreeJournal, 'stage' | 'measured'>): Progress {
  const message = {
    measure: 'looking at the source',
    list: 'listing the target',
    pack: 'packing',
    wait: '',
    unpack: 'unpacking',
  };
  return {
    ...{ done: 0, total: measured?.bytes ?? null, unit: 'bytes', message: message[stage] },
    ...(measured === undefined ? {} : { entriesTotal: measured.entries }),
  };
}

interface TreeWork {
  argv: (run: number) => readonly Word[];
  input?: () => Promise<string>;
  message: string;
  measured: { entries: number; bytes: number } | null;
  account: string | null;
}

function run({ argv, input, message, measured, account }: TreeWork, journal: TreeJournal, context: PlaceContext) {
  return carryOut(
    {
      prepare: async (number) => ({ argv: argv(number), input: (await input?.()) ?? '' }),
      isRepeatable: true,
      isToBeContinued: ({ exitCode }) => continuedExits.has(exitCode),
      account,
      totalBytes: measured?.bytes ?? null,
      progressOf: progressOf(message, measured),
    },
    journal,
    context,
  );
}

/** How much there is to pack. */
export function measureTree(path: string, wish: TreeWish, journal: TreeJournal, context: PlaceContext) {
  const words = ['measure', path, '', '1', ...filterWords(wish)];
  const argv = () => ['sh', '-c', treeLookProgram, 'goldcrest-push', treeWalkProgram, treePackProgram, ...words];
  const { account } = wish;
  return run({ argv, message: 'looking at the source', measured: null, account }, journal, context);
}

/** The measure of a good end. */
export function measureOf(end: WorkEnd): NonNullable<TreeJournal['measured']> {
  const { counts } = parseTreeReport(end);
  const entries = counts.get('entries') ?? 0;
  const bytes = counts.get('bytes') ?? 0;
  // Each entry with its headers, the file padded to a block; the root's own entry, the end, and some room to grow.
  const archiveBytes = bytes + (entries + 1) * entryBytesMax + (entries + 2) * 1_024 + Math.ceil(bytes / 50);
  return { entries, bytes, archiveBytes, isFile: counts.get('is-file') === 1 };
}

/** Into the store, as a tar archive; `listed` is what it is compared with, as `sync` says. */
export function packTree(
  {
    path,
    sync,
    wish,
    store,
    listed,
  }: {
    path: string;
    sync: string | null | undefined;
    wish: TreeWish;
    store: StoreAccess;
    listed: StagedFile | undefined;
  },
  journal: TreeJournal,
  context: OperationContext,
): Promise<WorkEnd | Parked> {
  const words = ['pack', path, sync ?? '', flag(wish.skipFailures), ...filterWords(wish)];
  return pushTree(
    words,
    store,
    stagedOf(journal),
    { listed, message: 'packing', account: wish.account },
    journal,
    context,
  );
}

/** A list of what is there, into the store. */
export function listTree(
  { path, sync, store, account }: { path: string; sync: string; store: StoreAccess; account: string | null },
  journal: TreeJournal,
  context: OperationContext,
): Promise<WorkEnd | Parked> {
  const { listed } = journal;
  if (listed === undefined) throw new BrokerError('Internal', 'The journal of the transfer names no list.');
  const words = ['list', path, sync, '1'];
  return pushTree(
    words,
    store,
    listed,
    { listed: undefined, message: 'listing the target', account },
    journal,
    context,
  );
}

function pushTree(
  words: readonly Word[],
  { staging, audience }: StoreAccess,
  staged: StagedFile,
  { listed, message, account }: { listed: StagedFile | undefined; message: string; account: string | null },
  journal: TreeJournal,
  context: OperationContext,
): Promise<WorkEnd | Parked> {
  const input = async () => {
    const urls = await staging.signParts(staged, 1, staged.partsCount, audience);
    const list = listed === undefined ? '' : await staging.signDownload(listed, audience);
    return `${list}\n${urls.join('\n')}\n`;
  };
  const sizes = [String(staged.partSizeBytes), held(staged.partSizeBytes, context)];
  const programs = [treePushProgram, 'goldcrest-push', treeWalkProgram, treePackProgram];
  const argv = () => ['sh', '-c', ...programs, ...sizes, ...words];
  const measured = message === 'packing' ? (journal.measured ?? null) : null;
  return run({ argv, input, message, measured, account }, journal, context);
}

/** From the store to its place. */
export function unpackTree(
  {
    part,
    target,
    isFile,
    merges,
    sync,
    wish,
    store,
    sha256,
    check,
    sizeBytes,
  }: {
    /** The directory it is unpacked in, beside the target. */
    part: string;
    target: string;
    isFile: boolean;
    merges: boolean;
    sync: string | null | undefined;
    wish: TreeWish;
    store: StoreAccess;
    /** What the archive must add up to; null: nobody knows. */
    sha256: string | null;
    /** Where nobody knows; null: the store does not know either. */
    check: ObjectCheck | null;
    sizeBytes: number;
  },
  journal: TreeJournal,
  context: OperationContext,
): Promise<WorkEnd | Parked> {
  const input = async () => `${await store.staging.signDownload(stagedOf(journal), store.audience)}\n`;
  const sizes = [sizeBytes, treePartBytes].map(String);
  const programs = [treePullProgram, 'goldcrest-pull', treeWalkProgram, treeUnpackProgram, treePlaceProgram];
  const place = [part, target, isFile ? 'file' : 'tree', flag(merges), sync ?? '', flag(wish.skipFailures)];
  const argv = (number: number) => [
    ...['sh', '-c', ...programs, ...sizes, held(treePartBytes, context), sha256 ?? '', String(number)],
    ...[...checkWords(check), ...place, ...filterWords(wish)],
  ];
  const counts = journal.packed?.counts;
  const measured =
    counts === undefined
      ? { entries: 0, bytes: sizeBytes }
      : { entries: counts.entries ?? 0, bytes: counts.bytes ?? 0 };
  return run({ argv, input, message: 'unpacking', measured, account: wish.account }, journal, context);
}
