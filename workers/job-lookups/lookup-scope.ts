/**
 * Look-ups of jobs under one login on one system. One query at a time, in all workers together, answers everybody who
 * waits. One that answers several is followed by the next no sooner than a window after its begin; one for a single client
 * keeps nobody waiting. What was answered is shared for a window.
 */
import { type BrokerError, fromStoredError, toBrokerError, toStoredError } from '../../shared/errors/broker-error.ts';
import type { Job } from '../../shared/operations/compute/job.ts';
import { type LookupTurns, leaseMs, type RoundMessage, type Wanted } from './lookup-turns.ts';

/** Jobs that are kept to be shared; past it only those of the latest query. */
const keptMax = 20_000;
/** Jobs in one message to the other workers, those first that were asked for: about 700 bytes each. */
const toldMax = 2_500;
/** A query that takes longer than this is given up. */
const queryMsMax = 60_000;

export interface ScopeOptions {
  name: string;
  turns: LookupTurns;
  windowMs: number;
  /** Who changed something when, by `performance.now()`: what is older is not for them. */
  changedAt: ReadonlyMap<string, number>;
  query(wanted: readonly Wanted[], signal: AbortSignal): Promise<Map<string, Job[]>>;
}

export interface FoundJobs {
  jobs: Job[];
  /** How old the answer is; 0 where the question came before the query. */
  ageMs: number;
}

interface Waiter extends Wanted {
  since: number;
  resolve(answer: FoundJobs | null): void;
  reject(error: BrokerError): void;
}

interface Round {
  startedAt: number;
  jobIds: readonly string[];
  jobs: ReadonlyMap<string, Job[]>;
  error: BrokerError | null;
}

export interface LookupScope {
  /** Null: the query did not find it, which is no proof. Rejects with what the query failed with, or the reason of the signal. */
  find(wanted: Wanted, signal: AbortSignal): Promise<FoundJobs | null>;
  /** A query of another worker. */
  hear(message: RoundMessage): void;
  /** Nobody waits, and nothing is kept that could still be shared. */
  isIdle(): boolean;
}

export function createLookupScope(options: ScopeOptions): LookupScope {
  const { name, turns, windowMs, changedAt } = options;
  const waiters = new Set<Waiter>();
  let kept = new Map<string, { jobs: Job[]; startedAt: number }>();
  let keptUntil = 0;
  let isAsking = false;
  let asksAgain = false;
  let timer: NodeJS.Timeout | undefined;

  const isFor = (username: string, startedAt: number): boolean => startedAt >= (changedAt.get(username) ?? 0);

  const shared = ({ jobId, username }: Wanted): FoundJobs | undefined => {
    const known = kept.get(jobId);
    if (known === undefined || performance.now() - known.startedAt > windowMs) return undefined;
    if (!isFor(username, known.startedAt)) return undefined;
    return { jobs: known.jobs, ageMs: performance.now() - known.startedAt };
  };

  const keep = ({ startedAt, jobs }: Round): void => {
    const now = performance.now();
    const young = [...kept].filter(([, entry]) => now - entry.startedAt <= windowMs);
    kept = new Map(young.length + jobs.size > keptMax ? [] : young);
    for (const [jobId, found] of jobs) {
      if ((kept.get(jobId)?.startedAt ?? startedAt) <= startedAt) kept.set(jobId, { jobs: found, startedAt });
    }
    keptUntil = now + windowMs;
  };

  const deliver = (round: Round): void => {
    keep(round);
    const asked = new Set(round.jobIds);
    for (const waiter of waiters) {
      const jobs = round.jobs.get(waiter.jobId);
      // Also for those who came later: to ask once more what does not answer would keep them waiting twice as long.
      if (round.error !== null) waiter.reject(round.error);
      else if (jobs !== undefined) {
        if (!isFor(waiter.username, round.startedAt)) continue; // it is asked for once more
        const isFresh = round.startedAt >= waiter.since;
        waiter.resolve({ jobs, ageMs: isFresh ? 0 : performance.now() - round.startedAt });
      } else if (!asked.has(waiter.jobId)) continue;
      else waiter.resolve(null);
      waiters.delete(waiter);
    }
  };

  const askLater = (waitMs: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), Math.min(waitMs, leaseMs) + 1);
    timer.unref();
  };

  const ask = async (): Promise<void> => {
    if (waiters.size === 0) return;
    if (isAsking) {
      asksAgain = true;
      return;
    }
    isAsking = true;
    try {
      const turn = await turns.ask(name, [...waiters]);
      if (turn.isMine) void run(turn.token, turn.wanted);
      else askLater(turn.waitMs);
    } catch (error) {
      for (const waiter of waiters) waiter.reject(toBrokerError(error));
      waiters.clear();
    } finally {
      isAsking = false;
    }
    if (!asksAgain) return;
    asksAgain = false;
    await ask();
  };

  const run = async (token: string, wanted: readonly Wanted[]): Promise<void> => {
    const startedAt = performance.now();
    const renewal = setInterval(() => void turns.renew(name, token).catch(() => undefined), leaseMs / 3);
    const jobIds = [...new Set(wanted.map(({ jobId }) => jobId))];
    const round: Round = { startedAt, jobIds, jobs: new Map(), error: null };
    try {
      round.jobs = await options.query(wanted, AbortSignal.timeout(queryMsMax));
    } catch (error) {
      round.error = toBrokerError(error);
    } finally {
      clearInterval(renewal);
    }
    deliver(round);
    await finish(token, round).catch(() => askLater(leaseMs));
  };

  /**
   * Frees the turn: at once for the next single question, after the window in a crowd. Tells the others, also where none
   * of them waits: what they share must not be older than what this worker has answered.
   */
  const finish = async (token: string, round: Round): Promise<void> => {
    const isCrowd = round.jobIds.length > 1;
    const waitMs = isCrowd ? Math.max(0, round.startedAt + windowMs - performance.now()) : 0;
    const asked = new Set(round.jobIds);
    const jobs = [...round.jobs].sort(([a], [b]) => Number(asked.has(b)) - Number(asked.has(a))).slice(0, toldMax);
    const ageMs = performance.now() - round.startedAt;
    const error = round.error && toStoredError(round.error);
    // One behind the other, neither waited for alone: who hears of the round finds the turn free.
    const ended = turns.end(name, token, waitMs);
    const told = turns.tell({ kind: 'round', scope: name, ageMs, waitMs, jobIds: [...round.jobIds], jobs, error });
    await Promise.all([ended, told]);
    if (waiters.size > 0) askLater(waitMs);
  };

  return {
    find(wanted, signal) {
      const known = shared(wanted);
      if (known !== undefined) return Promise.resolve(known);
      return new Promise<FoundJobs | null>((resolve, reject) => {
        const waiter: Waiter = { ...wanted, since: performance.now(), resolve, reject };
        const giveUp = (): void => {
          waiters.delete(waiter);
          reject(toBrokerError(signal.reason));
        };
        if (signal.aborted) return giveUp();
        signal.addEventListener('abort', giveUp, { once: true });
        waiters.add(waiter);
        void ask();
      });
    },
    hear({ ageMs, waitMs, jobIds, jobs, error }) {
      const stored = error && fromStoredError(error);
      const startedAt = performance.now() - ageMs;
      deliver({ startedAt, jobIds, jobs: new Map(jobs), error: stored });
      if (waiters.size > 0) askLater(waitMs);
    },
    isIdle: () => waiters.size === 0 && performance.now() > keptUntil,
  };
}
