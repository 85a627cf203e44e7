/** Sets watches for tasks: one for each task or step at most, whose id follows from the task's, so that it may be set twice. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { WatchesConfig } from '../../shared/platform/config/job-notices.ts';
import type { NoRoom, WatchStore } from '../../shared/platform/watch-store.ts';
import { lifeInWords } from '../../shared/tasks/consent.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { consentOf, type JobStanding, watchIdOf } from '../../shared/watches/watch.ts';

/** What a handler may do about watches. */
export interface JobWatches {
  /** TooManyWatches where the user, or all together, have as many as may be. */
  ensureRoom(): Promise<void>;
  /**
   * The id of the watch. `bounded`: TooManyWatches as above; `promised`: room was ensured before the job was there, which
   * is not to be lost for want of it. `until`: RFC 3339; as long as it may last where not given. StoreUnavailable.
   */
  begin(
    jobId: string,
    standing: JobStanding | null,
    room: 'bounded' | 'promised',
    until?: string | null,
  ): Promise<string>;
  /** InvalidRequest where a watch may not end then: in the past, or later than it may last. Null: no wish. */
  ensureTime(until: string | null): void;
}

export type JobWatchesOf = (task: Task) => JobWatches;

export function createJobWatches(
  store: Pick<WatchStore, 'add' | 'lacksRoom'>,
  { bounds, watchMsMax }: Pick<WatchesConfig, 'bounds' | 'watchMsMax'>,
): JobWatchesOf {
  const tooMany = (whose: NoRoom): BrokerError => {
    const quota = whose === 'user' ? bounds.perUserMax : bounds.totalMax;
    const words = whose === 'user' ? `You watch ${quota} jobs` : `${quota} jobs are watched`;
    return new BrokerError('TooManyWatches', `${words}, the bound.`, { retryAfterSeconds: 30, quota });
  };
  return ({ id: taskId, owner, principal, address, policy, system, webhook, chain }) => ({
    async ensureRoom() {
      const lacking = await store.lacksRoom(owner, bounds);
      if (lacking !== null) throw tooMany(lacking);
    },
    ensureTime(until) {
      if (until === null) return;
      const lifeMs = Date.parse(until) - Date.now();
      if (lifeMs > 0 && lifeMs <= watchMsMax) return;
      const rule = lifeMs > 0 ? `must be within ${lifeInWords(watchMsMax)}` : 'must be in the future';
      throw new BrokerError('InvalidRequest', `\`until\` ${rule}`);
    },
    async begin(jobId, standing, room, until = null) {
      const now = Date.now();
      const id = watchIdOf(taskId, chain?.at);
      const keptMs = until === null ? watchMsMax : Math.max(0, Math.min(watchMsMax, Date.parse(until) - now));
      const consent = consentOf({ principal, address, policy, taskId, now, keptMs });
      const watch = {
        id,
        owner,
        system: system ?? '',
        jobId,
        createdAt: now,
        consent,
        webhook: webhook ?? '',
        standing,
      };
      const outcome = await store.add(watch, room === 'bounded' ? bounds : null);
      if (outcome === 'user' || outcome === 'total') throw tooMany(outcome);
      return id;
    },
  });
}
