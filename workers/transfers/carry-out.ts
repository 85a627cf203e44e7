/**
 * Carries work out on the cluster, one look at a time: starts it, comes back until it has ended, ends it where nobody
 * wants it any more. Each call does what is due and returns; between them no worker, channel or connection is held.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Progress } from '../../shared/tasks/task.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import type { RemoteWork, WorkReport } from './remote-work.ts';
import type { TransferJournal, WorkEnd } from './transfer-journal.ts';
import { transferProgress } from './transfer-progress.ts';
import { type PlaceContext, type WorkPlace, workPlaceOf } from './work-place.ts';

type CarryContext = Pick<OperationContext, 'journal' | 'task' | 'log' | 'noteRerun'> & { place: WorkPlace };

export interface CarriedWork {
  /** Makes what is to run; called at each start. */
  prepare: (run: number) => Promise<RemoteWork>;
  /** Whether it may be run again where nobody knows how far it came. */
  isRepeatable: boolean;
  /** What the journal says is done, and is not any more, where it is run anew without what an earlier run has left. */
  forgotten?: Partial<TransferJournal>;
  /** Whether an end is one to start again from, with what was done kept. */
  isToBeContinued?: (end: WorkEnd) => boolean;
  /** Charged where the work is a batch job. */
  account: string | null;
  /** For the progress; null: not known. */
  totalBytes: number | null;
  /** In the place of the bytes of the steps that are done. */
  progressOf?: (report: WorkReport, seconds: number) => Progress;
  /** What a look notes in the journal while the work goes on. */
  noteOf?: (report: WorkReport) => Partial<TransferJournal>;
}

/** Runs of one piece of work in a row that brought nothing, each after the loss or the interruption of the one before. */
const fruitlessRunsMax = 5;
/** Supervisors give a sign of life each second; without one for so long they are taken for dead. */
const silenceMsMax = 60_000;
/** Looks are further apart the longer the work takes. */
const lookMsMin = 400;
const lookMsMax = 10_000;
/** Whoever waits for bytes is told each second, and the end of a short transfer soon. */
const movingMsMax = 900;
const movingShare = 1 / 4;
const lookShare = 1 / 20;
/** After a look that failed. */
const faultWaitMs = 5_000;

/** How the work ended, or that it goes on. Throws OutcomeUnknown, TaskCanceled, DeadlineExceeded, and what starting it throws. */
export async function carryOut(
  work: CarriedWork,
  journal: TransferJournal,
  placeContext: PlaceContext,
): Promise<WorkEnd | Parked> {
  const context: CarryContext = { ...placeContext, place: workPlaceOf(placeContext, work.account) };
  if (journal.end !== undefined) return finish(journal, journal.end, context);
  if (isUnwanted(context)) return stop(journal, context);
  if (journal.phase !== 'working') return start(work, journal, context, false);
  return follow(work, journal, context);
}

/** Counted over all stages of a task: what names a batch job of it is good for one. */
function runOf({ runs, runsBefore = 0 }: TransferJournal): number {
  return runsBefore + runs;
}

async function follow(work: CarriedWork, journal: TransferJournal, context: CarryContext): Promise<WorkEnd | Parked> {
  let report: WorkReport;
  try {
    report = await context.place.look({ ...journal, runs: runOf(journal) });
  } catch (error) {
    if (!isPassing(error)) await abandon(runOf(journal), context);
    return waitAfterFault(error, context);
  }
  return judge(work, journal, report, context);
}

/** Ends work that must not go on behind a task that failed. */
export async function endWork(placeContext: PlaceContext): Promise<void> {
  await abandon(1, { ...placeContext, place: workPlaceOf(placeContext, null) });
}

/** Its state cannot be made out, and never will be: it must not go on behind a task that failed. */
async function abandon(run: number, context: CarryContext): Promise<void> {
  const { place, log } = context;
  for (const clean of [() => place.stop(run), () => place.remove()]) {
    await clean().catch((error: unknown) => log.error({ err: error }, 'work was left on the cluster'));
  }
}

/** Canceled, or too late for it. */
export function isUnwanted({ task }: Pick<OperationContext, 'task'>): boolean {
  return task.isCancelRequested || Date.now() >= task.deadlineAt;
}

async function start(
  work: CarriedWork,
  journal: TransferJournal,
  context: CarryContext,
  isAgain: boolean,
): Promise<WorkEnd | Parked> {
  const { end: _end, ...rest } = journal;
  const begun: TransferJournal = { ...rest, phase: 'working', runs: journal.runs + 1, startedAt: Date.now(), beat: 0 };
  const prepared = await work.prepare(begun.runs);
  if (begun.runs > 1) context.noteRerun?.();
  await context.journal.write({ ...begun, beatAt: begun.startedAt });
  let report: WorkReport;
  try {
    report = await context.place.start(prepared, runOf(begun), isAgain);
  } catch (error) {
    // It may have been started: the next look tells.
    if (!isPassing(error)) await abandon(runOf(begun), context);
    return waitAfterFault(error, context);
  }
  return judge(work, { ...begun, beatAt: begun.startedAt }, report, context);
}

async function judge(
  work: CarriedWork,
  journal: TransferJournal,
  report: WorkReport,
  context: CarryContext,
): Promise<WorkEnd | Parked> {
  const now = Date.now();
  if (report.phase === 'ended') {
    const { exitCode, seconds, stdout, stderr } = report;
    const end: WorkEnd = { exitCode, seconds, stdout, stderr };
    const after = afterRun(journal, report);
    if (work.isToBeContinued?.(end) === true && mayGoOn(after)) return start(work, after, context, true);
    await context.journal.write({ ...journal, phase: 'ended', end });
    return finish(journal, end, context);
  }
  const isAlive = report.beat !== journal.beat || report.phase === 'running' || report.phase === 'queued';
  const noted = { ...journal, ...work.noteOf?.(report) };
  const seen: TransferJournal = isAlive ? { ...noted, beat: report.beat, beatAt: now } : noted;
  const isLost = report.phase === 'lost' || now - seen.beatAt > silenceMsMax;
  if (isLost) return restart(work, journal, report, context);
  return goOn(work, seen, report, context);
}

/** Lays the task by until the next look; meanwhile the worker glances at work that is told of. */
function goOn(work: CarriedWork, journal: TransferJournal, report: WorkReport, { place }: CarryContext): Parked {
  const isTold = report.phase !== 'queued' && (work.progressOf !== undefined || work.totalBytes !== null);
  const waitMs = (share: number, most: number): number =>
    Math.min(most, Math.max(lookMsMin, (Date.now() - journal.startedAt) * share));
  const movingMs = (): number => waitMs(movingShare, movingMsMax);
  const progress = progressOf(work, report, journal.startedAt);
  const parked = { place: 'kept' as const, journal, ...(progress === null ? {} : { progress }) };
  if (!isTold) return new Parked({ ...parked, waitMs: waitMs(lookShare, lookMsMax) });
  // What a look notes in the journal takes a look.
  if (work.noteOf !== undefined) return new Parked({ ...parked, waitMs: movingMs() });
  let { beat, beatAt } = journal;
  const look = async (): Promise<Progress | null> => {
    const seen = await place.glance({ beat, beatAt });
    if (seen === null) return null;
    if (seen.beat !== beat) [beat, beatAt] = [seen.beat, Date.now()];
    return progressOf(work, seen, journal.startedAt);
  };
  return new Parked({ ...parked, waitMs: lookMsMax, glance: { waitMs: movingMs, look } });
}

function progressOf(work: CarriedWork, report: WorkReport, startedAt: number): Progress | null {
  if (work.progressOf !== undefined) return work.progressOf(report, (Date.now() - startedAt) / 1_000);
  const { totalBytes } = work;
  if (totalBytes === null) return null;
  if (report.phase !== 'queued') return transferProgress(report.doneBytes, totalBytes, startedAt);
  return { done: report.doneBytes, total: totalBytes, unit: 'bytes', message: 'waiting for the scheduler' };
}

/** What a run brought: one that moved bytes gives the next ones their chances anew. */
function afterRun(journal: TransferJournal, { doneBytes }: WorkReport): TransferJournal {
  const isFruitful = doneBytes > (journal.begunBytes ?? 0);
  return { ...journal, begunBytes: doneBytes, fruitlessRuns: isFruitful ? 0 : (journal.fruitlessRuns ?? 0) + 1 };
}

function mayGoOn({ fruitlessRuns = 0 }: TransferJournal): boolean {
  return fruitlessRuns < fruitlessRunsMax;
}

/** Nobody supervises it any more: it is run again where that does no harm, and goes on with what was done on the same host. */
async function restart(
  work: CarriedWork,
  journal: TransferJournal,
  report: WorkReport,
  context: CarryContext,
): Promise<WorkEnd | Parked> {
  context.log.warn({ phase: report.phase, runs: journal.runs }, 'the work on the cluster was lost');
  const stopped = await context.place.stop(runOf(journal));
  // Not begun: what was to begin it has run out of time long since, and finds no directory if it comes all the same.
  const isUntouched = stopped.phase === 'absent' || stopped.phase === 'starting' || stopped.phase === 'queued';
  // After a crash of the host, what is noted as done may not have come to its disk.
  const isKept = report.phase === 'lost' && stopped.phase === 'lost';
  const after = afterRun(journal, stopped);
  const isGivenUp = !(work.isRepeatable || isUntouched) || !mayGoOn(after);
  if (isGivenUp || !isKept) await context.place.remove();
  if (isGivenUp) {
    throw new BrokerError('OutcomeUnknown', 'The work on the cluster was lost while it ran; look there what was done.');
  }
  return start(work, isKept ? after : { ...after, ...work.forgotten, begunBytes: 0 }, context, isKept);
}

/** The directory goes last: as long as it is there, nobody starts the work another time. */
async function finish(journal: TransferJournal, end: WorkEnd, context: CarryContext): Promise<WorkEnd | Parked> {
  try {
    await context.place.remove();
  } catch (error) {
    if (isPassing(error)) return waitAfterFault(error, context);
    context.log.warn({ err: error, runs: journal.runs }, 'the directory of the work was left behind');
  }
  if (end.exitCode !== 0 && context.task.isCancelRequested) throw canceled();
  return end;
}

/** Ends work that nobody wants. What had come to a good end is told as such. */
async function stop(journal: TransferJournal, context: CarryContext): Promise<WorkEnd | Parked> {
  const reason = context.task.isCancelRequested
    ? canceled()
    : new BrokerError('DeadlineExceeded', 'The deadline of the task passed.');
  if (journal.phase !== 'working') throw reason;
  let report: WorkReport;
  try {
    report = await context.place.stop(runOf(journal));
  } catch (error) {
    return waitAfterFault(error, context);
  }
  const isBeating = report.beat !== journal.beat;
  const beatAt = isBeating ? Date.now() : journal.beatAt;
  const mayLive = report.phase === 'running' || report.phase === 'elsewhere' || report.phase === 'starting';
  if (mayLive && Date.now() - beatAt < silenceMsMax) {
    return new Parked({ place: 'kept', waitMs: 1_000, journal: { ...journal, beat: report.beat, beatAt } });
  }
  if (report.phase === 'ended' && report.exitCode === 0) {
    const { exitCode, seconds, stdout, stderr } = report;
    const end: WorkEnd = { exitCode, seconds, stdout, stderr };
    await context.journal.write({ ...journal, phase: 'ended', end });
    return finish(journal, end, context);
  }
  await context.place.remove();
  throw reason;
}

function canceled(): BrokerError {
  return new BrokerError('TaskCanceled', 'The task was canceled.');
}

const passing = new Set(['SshUnavailable', 'SshNoChannel', 'CommandTimeout', 'StoreUnavailable']);
const others = new Set(['WorkerLost', 'ShuttingDown', 'StagingUnavailable']);

/** Whether this attempt's failure may be followed by another attempt, here or elsewhere: nothing is to be cleaned up. */
export function mayBeRepeated(error: unknown): boolean {
  return isPassing(error) || (error instanceof BrokerError && others.has(error.code));
}

function isPassing(error: unknown): boolean {
  return error instanceof BrokerError && passing.has(error.code);
}

/**
 * The work goes on without us: a login node that does not answer just now is asked again, for as long as the consent is
 * settled. Throws what will not pass.
 */
export function waitAfterFault(error: unknown, { log }: Pick<CarryContext, 'log'>): Parked {
  if (!isPassing(error)) throw error;
  log.info({ err: error }, 'the work on the cluster could not be looked at');
  return new Parked({ place: 'kept', waitMs: faultWaitMs });
}

/**
 * Looks once more, before work begins that was long in coming, whether it may reach its place. Null: it may, or nobody wants it
 * any more, which is told elsewhere. Parked: nobody could tell just now. Throws what refuses it.
 */
export async function admitAnew(
  admit: () => Promise<void>,
  context: Pick<OperationContext, 'task' | 'log'>,
): Promise<Parked | null> {
  if (isUnwanted(context)) return null;
  try {
    await admit();
    return null;
  } catch (error) {
    if (!isPassing(error) && !(error instanceof BrokerError && error.code === 'AuthorizationUnavailable')) throw error;
    context.log.info({ err: error }, 'the place of the work could not be looked at');
    return new Parked({ place: 'kept', waitMs: faultWaitMs });
  }
}
