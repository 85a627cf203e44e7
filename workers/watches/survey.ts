/**
 * Looks at all watched jobs of a system by as few queries as can be: one under the service account, where there is one
 * that is shown the jobs of others, and one for each user whose jobs it is not shown. A user is told of other people's
 * jobs only what the user's own login is shown.
 */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Job } from '../../shared/operations/compute/job.ts';
import type { Watch } from '../../shared/watches/watch.ts';
import type { SchedulerAdapter, SchedulerHost } from '../schedulers/scheduler.ts';
import type { CommandBudget } from './command-budget.ts';

export interface SurveyDeps {
  scheduler: Pick<SchedulerAdapter, 'lookUp'>;
  hostOf: (username: string) => SchedulerHost;
  /** Name of the service account; null: the system has none. */
  findAccount: () => Promise<string | null>;
  budget: CommandBudget;
  log: Logger;
}

export interface Sighting {
  /** Null: it is not in an answer that was to hold it. */
  jobs: readonly Job[] | null;
}

export interface Survey {
  /** By the id of the watch; a watch that is not in it was not looked at, for want of commands or of an answer. */
  look(watches: readonly Watch[], signal: AbortSignal): Promise<Map<string, Sighting>>;
  /** The login that is shown everybody's jobs; null: there is none now. */
  account(): Promise<string | null>;
  /** The user's login was shown a job that the account was not. */
  accountIsBlind(): void;
}

/** Most ids in one question; jobs of the users asked for that wait or run are answered beyond it. */
const idsMax = 2_000;
/** Commands of one query at most: queue, accounting, queue by id. */
const queryCommands = 3;
const blindMs = 600_000;
const lockedOutMs = 60_000;

export function createSurvey({ scheduler, hostOf, findAccount, budget, log }: SurveyDeps): Survey {
  let blindUntil = 0;

  const accountNow = async (): Promise<string | null> => {
    if (Date.now() < blindUntil) return null;
    return findAccount().catch((error: unknown) => {
      log.info({ err: error }, 'the service account has no name: watched jobs are looked up by their users');
      blindUntil = Date.now() + lockedOutMs;
      return null;
    });
  };

  /** Asks one login for the jobs of watches, until all are answered or commands run out. */
  const ask = async (
    login: string,
    watches: readonly Watch[],
    sightings: Map<string, Sighting>,
    signal: AbortSignal,
  ) => {
    const host = budget.counted(hostOf(login));
    const usernames = [...new Set(watches.map(({ consent }) => consent.username))];
    let open = [...watches];
    while (open.length > 0 && !signal.aborted) {
      if (budget.waitMs(queryCommands) > 0) return;
      const jobIds = [...new Set(open.map(({ jobId }) => jobId))].slice(0, idsMax);
      const found = await scheduler.lookUp(host, { jobIds, usernames, signal });
      const asked = new Set(jobIds);
      open = open.filter((watch) => {
        const jobs = found.get(watch.jobId);
        if (jobs === undefined && !asked.has(watch.jobId)) return true;
        sightings.set(watch.id, { jobs: jobs ?? null });
        return false;
      });
    }
  };

  const askByAccount = async (account: string, watches: readonly Watch[], signal: AbortSignal) => {
    const sightings = new Map<string, Sighting>();
    try {
      await ask(account, watches, sightings, signal);
    } catch (error) {
      if (signal.aborted || !isLockedOut(error)) throw error;
      log.warn({ err: error }, 'the service account cannot log in: watched jobs are looked up by their users');
      blindUntil = Date.now() + lockedOutMs;
    }
    return sightings;
  };

  const isOthers = (watch: Watch, { jobs }: Sighting): boolean =>
    jobs?.some(({ user }) => user !== watch.consent.username) === true;

  return {
    async look(watches, signal) {
      const account = await accountNow();
      const sightings = account === null ? new Map<string, Sighting>() : await askByAccount(account, watches, signal);
      const byUser = new Map<string, Watch[]>();
      for (const watch of watches) {
        const seen = sightings.get(watch.id);
        if (seen !== undefined && !isOthers(watch, seen)) continue;
        // Not asked for want of commands: the next round is soon enough.
        if (seen === undefined && account !== null && Date.now() >= blindUntil) continue;
        sightings.delete(watch.id);
        byUser.set(watch.consent.username, [...(byUser.get(watch.consent.username) ?? []), watch]);
      }
      for (const [username, own] of byUser) {
        // One user who cannot log in keeps nobody else from being told.
        await ask(username, own, sightings, signal).catch((error: unknown) => {
          signal.throwIfAborted();
          log.info({ err: error, username }, 'the watched jobs of a user could not be looked up');
        });
      }
      return sightings;
    },
    account: accountNow,
    accountIsBlind() {
      if (Date.now() < blindUntil) return;
      blindUntil = Date.now() + blindMs;
      log.info('the service account is not shown the jobs of others: watched jobs are looked up by their users');
    },
  };
}

function isLockedOut(error: unknown): boolean {
  return (
    error instanceof BrokerError &&
    ['SshUnavailable', 'SshNoChannel', 'SshCredentialsRefused', 'HostKeyMismatch'].includes(error.code)
  );
}
