/** Watches the jobs of one system for as long as it is led: what it knows is in Redis, and here only a copy with its revision. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CheckConsent } from '../../shared/authorization/check-consent.ts';
import type { Job } from '../../shared/operations/compute/job.ts';
import type { WatchesConfig } from '../../shared/platform/config/job-notices.ts';
import type { WatchStep, WatchStore } from '../../shared/platform/watch-store.ts';
import { isOver, type Watch } from '../../shared/watches/watch.ts';
import type { PathGate } from '../operations/path-gate.ts';
import type { SchedulerAdapter, SchedulerHost } from '../schedulers/scheduler.ts';
import { createCommandBudget } from './command-budget.ts';
import { diagnoseForgotten } from './diagnose.ts';
import { createDiagnoser, type EndedJob } from './diagnoser.ts';
import { findMissing } from './find-missing.ts';
import { findAllowed } from './may-watch.ts';
import { stepOfAbsence, stepOfDiagnosis, stepOfExpiry, stepOfLook, stepOfSighting } from './next-step.ts';
import { missingLookMs, systemIntervalMs } from './pace.ts';
import { createSurvey, type Sighting } from './survey.ts';

export interface WatchSystemOptions {
  system: string;
  scheduler: SchedulerAdapter;
  hostOf: (username: string) => SchedulerHost;
  gateOf: (username: string) => Pick<PathGate, 'contains'>;
  findAccount: () => Promise<string | null>;
  checkConsent: CheckConsent;
  store: WatchStore;
  settings: WatchesConfig;
  signal: AbortSignal;
  log: Logger;
}

/** How often it is looked whether watches came or went: one GET. */
const tickMs = 500;
/** A job that was submitted just now may not be in a listing yet. */
const graceMs = 5_000;
/** A job that ended so long ago and is in no listing is diagnosed by what was seen of it. */
const forgottenMs = 60_000;
/** Steps that are written at once. */
const writesAtOnce = 200;
/** Jobs that are looked for one by one in a round. */
const missingAtOnceMax = 8;
const missingCommands = 2;
const roundMsMax = 120_000;

/** Ends when the signal aborts; rejects where the store fails, and is then begun anew. */
export async function watchSystem(options: WatchSystemOptions): Promise<void> {
  const { system, store, settings, signal, log } = options;
  const watches = new Map<string, Watch>();
  const round = createRound(options, watches);
  let version = '';
  let lastAt = 0;
  let lookMs = 0;
  while (!signal.aborted) {
    const present = await store.version(system);
    if (present !== version) {
      await refresh(store, system, watches);
      version = present;
    }
    const dueAt = lastAt + systemIntervalMs(watches.values(), lookMs, Date.now(), settings);
    if (watches.size > 0 && Date.now() >= dueAt) {
      lastAt = Date.now();
      await round(AbortSignal.any([signal, AbortSignal.timeout(roundMsMax)])).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ err: error }, 'a look at the watched jobs failed');
      });
      lookMs = Date.now() - lastAt;
    }
    await sleep(tickMs, undefined, { signal }).catch(() => undefined);
  }
}

async function refresh(store: WatchStore, system: string, watches: Map<string, Watch>): Promise<void> {
  const ids = await store.openIds(system);
  const open = new Set(ids);
  for (const id of watches.keys()) if (!open.has(id)) watches.delete(id);
  const added = await store.read(ids.filter((id) => !watches.has(id)));
  for (const watch of added) if (!isOver(watch.phase)) watches.set(watch.id, watch);
}

/** One look at everything, and what follows from it. */
function createRound(options: WatchSystemOptions, watches: Map<string, Watch>) {
  const { scheduler, hostOf, gateOf, findAccount, checkConsent, store, settings, log } = options;
  const { lostAfterMs, keepMs } = settings;
  const budget = createCommandBudget(settings.commandsPerMinuteMax);
  const survey = createSurvey({ scheduler, hostOf, findAccount, budget, log });
  const diagnoser = createDiagnoser({ scheduler, hostOf, gateOf, budget, log });

  const write = async (watch: Watch, step: WatchStep | null): Promise<void> => {
    if (step === null) return;
    if (!(await store.step(watch, step, Date.now()))) {
      // Removed, or another worker leads by now: what is there counts.
      const [present] = await store.read([watch.id]);
      if (present === undefined || isOver(present.phase)) watches.delete(watch.id);
      else watches.set(watch.id, present);
      return;
    }
    if (step.closesForMs !== undefined) watches.delete(watch.id);
    else {
      const { revision, sequence } = watch;
      const counted = { revision: revision + 1, sequence: sequence + step.events.length };
      watches.set(watch.id, { ...watch, ...step.changes, ...counted });
    }
  };

  /** A job that ended and is not listed any more is not waited for without end. */
  const writeForgotten = async (watch: Watch, now: number): Promise<void> => {
    if (watch.standing === null || now - watch.changedAt < forgottenMs) return;
    await write(watch, stepOfDiagnosis(diagnoseForgotten(watch.jobId, watch.standing), keepMs));
  };

  const writeSightings = async (sightings: ReadonlyMap<string, Sighting>): Promise<void> => {
    const entries = [...sightings];
    for (let at = 0; at < entries.length; at += writesAtOnce) {
      const slice = entries.slice(at, at + writesAtOnce);
      await Promise.all(
        slice.map(async ([id, { jobs }]) => {
          const watch = watches.get(id);
          const now = Date.now();
          if (watch?.phase === 'ended' && jobs === null) return writeForgotten(watch, now);
          if (watch === undefined || watch.phase === 'ended') return;
          if (jobs !== null) await write(watch, stepOfSighting(watch, jobs, now));
          else if (watch.phase === 'watching' && now - watch.createdAt > graceMs)
            await write(watch, stepOfAbsence(now));
        }),
      );
    }
  };

  const findOne = async (watch: Watch, signal: AbortSignal): Promise<void> => {
    const { consent, jobId } = watch;
    const found = await findMissing(scheduler, budget.counted(hostOf(consent.username)), jobId, signal);
    if ('look' in found) return write(watch, stepOfLook(watch, found.look, lostAfterMs, keepMs));
    survey.accountIsBlind();
    await write(watch, stepOfSighting(watch, found.jobs, Date.now()));
  };

  const findLost = async (allowed: ReadonlySet<string>, signal: AbortSignal): Promise<void> => {
    const before = Date.now() - missingLookMs(settings);
    const missing = [...watches.values()].filter(
      ({ id, phase, looks }) => allowed.has(id) && phase === 'unknown' && (looks.at(-1)?.at ?? 0) <= before,
    );
    for (const watch of missing.slice(0, missingAtOnceMax)) {
      if (budget.waitMs(missingCommands) > 0) return;
      await findOne(watch, signal);
    }
  };

  /** By login: those of a user, or all those that the account was shown. */
  const diagnoseEnded = async (sightings: ReadonlyMap<string, Sighting>, signal: AbortSignal): Promise<void> => {
    const ended = [...watches.values()].flatMap((watch): EndedJob[] => {
      const jobs: readonly Job[] | null = sightings.get(watch.id)?.jobs ?? null;
      return watch.phase === 'ended' && jobs !== null ? [{ watch, jobs }] : [];
    });
    const account = await survey.account();
    const byLogin = new Map<string, EndedJob[]>();
    for (const job of ended) {
      const login = account ?? job.watch.consent.username;
      byLogin.set(login, [...(byLogin.get(login) ?? []), job]);
    }
    for (const [login, own] of byLogin) {
      await diagnoser.run(login, own, (watch, found) => write(watch, stepOfDiagnosis(found, keepMs)), signal);
    }
  };

  return async (signal: AbortSignal): Promise<void> => {
    const { allowed, ended } = await findAllowed(checkConsent, [...watches.values()]);
    for (const { watch, why } of ended) await write(watch, stepOfExpiry(watch, why, keepMs));
    const sightings = await survey.look(allowed, signal);
    await writeSightings(sightings);
    await findLost(new Set(allowed.map(({ id }) => id)), signal);
    await diagnoseEnded(sightings, signal);
  };
}
