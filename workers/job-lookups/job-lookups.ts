/**
 * What handlers ask about jobs, shared between all who ask: one query serves all. A user is shown what the scheduler shows
 * to that user: out of the answers to the system's service account only the user's own jobs, everything else out of
 * answers to the user's own login. "Not found" is said by a query for that one job alone, begun after the question.
 */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Job } from '../../shared/operations/compute/job.ts';
import { type Meter, silentMeter } from '../../shared/platform/metrics/meter.ts';
import type { SchedulerAdapter, SchedulerHost } from '../schedulers/scheduler.ts';
import { createLookupScope, type FoundJobs, type LookupScope } from './lookup-scope.ts';
import type { LookupMessage, LookupTurns, Wanted } from './lookup-turns.ts';
import { shareInFlight } from './share-in-flight.ts';

/** One system as one user. */
export interface LookupSite {
  system: string;
  /** 0: every look-up by a query of its own. */
  windowMs: number;
  scheduler: SchedulerAdapter;
  host: SchedulerHost;
  /** The service account that may be shown everybody's jobs; null: none. */
  findAccount: () => Promise<SchedulerHost | null>;
}

export interface JobLookups {
  /** JobNotFound, SchedulerFailed, and what the login fails with. */
  get(site: LookupSite, jobId: string, signal: AbortSignal): Promise<FoundJobs>;
  /** One run for all who want the same at the same time: `what` names the question with all that it depends on. */
  share<T>(
    site: LookupSite,
    what: readonly unknown[],
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
  /** After a change by the user, before it is answered: what was read earlier is not shown to the user again. */
  changed(site: Pick<LookupSite, 'system' | 'host'>): void;
  close(): void;
}

/** So many own jobs in a row that the service account was not shown mean that it is not shown them. */
const missesMax = 3;
/** For how long it is then not asked. */
const blindMs = 600_000;
/** The same after it could not log in. */
const lockedOutMs = 60_000;
const tidyEveryMs = 10_000;
/** A change is remembered longer than any query or window. */
const changesKeepMs = 120_000;

interface SystemState {
  changedAt: Map<string, number>;
  blindUntil: number;
  misses: number;
}

export function createJobLookups(turns: LookupTurns, log: Logger, meter: Meter = silentMeter): JobLookups {
  const scopes = new Map<string, LookupScope>();
  const systems = new Map<string, SystemState>();
  const inFlight = shareInFlight<unknown>();

  const stateOf = (system: string): SystemState => {
    const known = systems.get(system) ?? { changedAt: new Map(), blindUntil: 0, misses: 0 };
    systems.set(system, known);
    return known;
  };

  turns.listen((message: LookupMessage) => {
    if (message.kind === 'change') stateOf(message.system).changedAt.set(message.username, performance.now());
    else scopes.get(message.scope)?.hear(message);
  });

  const tidy = setInterval(() => {
    const now = performance.now();
    for (const [name, scope] of scopes) if (scope.isIdle()) scopes.delete(name);
    for (const { changedAt } of systems.values()) {
      for (const [username, at] of changedAt) if (now - at > changesKeepMs) changedAt.delete(username);
    }
  }, tidyEveryMs);
  tidy.unref();

  const scopeOf = ({ system, windowMs, scheduler }: LookupSite, owner: string, host: SchedulerHost): LookupScope => {
    const name = `${system} ${owner}`;
    const query = (wanted: readonly Wanted[], signal: AbortSignal) => {
      const jobIds = [...new Set(wanted.map(({ jobId }) => jobId))];
      const usernames = [...new Set(wanted.map(({ username }) => username))];
      log.debug({ scope: name, jobIds: jobIds.length, usernames: usernames.length }, 'the scheduler is asked for jobs');
      return scheduler.lookUp(host, { jobIds, usernames, signal });
    };
    const { changedAt } = stateOf(system);
    const known = scopes.get(name) ?? createLookupScope({ name, turns, windowMs, changedAt, query });
    scopes.set(name, known);
    return known;
  };

  /** The account's login where it is worth asking. */
  const accountOf = async ({ system, host, findAccount }: LookupSite): Promise<SchedulerHost | null> => {
    if (performance.now() < stateOf(system).blindUntil) return null;
    const account = await findAccount().catch(() => null);
    return account?.username === host.username ? null : account;
  };

  /** The user's own job out of what the service account is shown; null: the user's own login is to be asked. */
  const findByAccount = async (
    site: LookupSite,
    account: SchedulerHost,
    jobId: string,
    signal: AbortSignal,
  ): Promise<FoundJobs | null> => {
    const { username } = site.host;
    const state = stateOf(site.system);
    try {
      const found = await scopeOf(site, '*', account).find({ jobId, username }, signal);
      if (found === null || !found.jobs.every(({ user }) => user === username)) return null;
      state.misses = 0;
      return found;
    } catch (error) {
      if (signal.aborted || !isLockedOut(error)) throw error;
      log.warn(
        { err: error, system: site.system },
        'the service account cannot log in; users look up their jobs themselves',
      );
      state.blindUntil = performance.now() + lockedOutMs;
      return null;
    }
  };

  /** Own jobs that the account is not shown mean that the scheduler hides other people's jobs from it. */
  const countMiss = ({ system, host }: LookupSite, { jobs }: FoundJobs): void => {
    const state = stateOf(system);
    if (!jobs.every(({ user }) => user === host.username)) return;
    state.misses += 1;
    if (state.misses < missesMax) return;
    state.misses = 0;
    state.blindUntil = performance.now() + blindMs;
    log.info({ system }, 'the service account is not shown the jobs of others; users look up their jobs themselves');
  };

  const direct = async ({ system, scheduler, host }: LookupSite, jobId: string, signal: AbortSignal) => {
    const work = (shared: AbortSignal) => scheduler.get(host, { jobId, signal: shared });
    const key = JSON.stringify(['get', system, host.username, jobId]);
    return { jobs: (await inFlight.run(key, signal, work)) as Job[], ageMs: 0 };
  };

  return {
    async get(site, jobId, signal) {
      meter.count('goldcrest_scheduler_questions_total', { system: site.system });
      if (site.windowMs === 0) return { jobs: await site.scheduler.get(site.host, { jobId, signal }), ageMs: 0 };
      const { username } = site.host;
      const account = await accountOf(site);
      const shared = account && (await findByAccount(site, account, jobId, signal));
      if (shared !== null) return shared;
      const own = await scopeOf(site, username, site.host).find({ jobId, username }, signal);
      if (own === null) return direct(site, jobId, signal);
      if (account !== null) countMiss(site, own);
      return own;
    },
    share(site, what, signal, work) {
      meter.count('goldcrest_scheduler_questions_total', { system: site.system });
      const { username } = site.host;
      // A run that began before the user's last change is not joined.
      const key = JSON.stringify([what, site.system, username, stateOf(site.system).changedAt.get(username)]);
      return inFlight.run(key, signal, work) as ReturnType<typeof work>;
    },
    changed({ system, host: { username } }) {
      stateOf(system).changedAt.set(username, performance.now());
      // Not waited for: what the task answers goes by the same connection, after it.
      turns.tell({ kind: 'change', system, username }).catch(() => undefined);
    },
    close: () => clearInterval(tidy),
  };
}

const loginFaults: ReadonlySet<string> = new Set([
  'SshUnavailable',
  'SshNoChannel',
  'SshCredentialsRefused',
  'HostKeyMismatch',
]);

function isLockedOut(error: unknown): boolean {
  return error instanceof BrokerError && loginFaults.has(error.code);
}
