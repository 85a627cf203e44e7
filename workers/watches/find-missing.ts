/** One look for one job that is not in a listing: by itself, under the user's own login, everywhere the scheduler keeps jobs. */
import { toBrokerError } from '../../shared/errors/broker-error.ts';
import type { Job } from '../../shared/operations/compute/job.ts';
import type { Look } from '../../shared/watches/watch.ts';
import type { SchedulerAdapter, SchedulerHost } from '../schedulers/scheduler.ts';

export type MissingLook = { jobs: readonly Job[] } | { look: Look };

/** Only the scheduler's own word that there is no such job is a proof; `get` gives it when all who know jobs answered well. */
export async function findMissing(
  scheduler: Pick<SchedulerAdapter, 'get'>,
  host: SchedulerHost,
  jobId: string,
  signal: AbortSignal,
): Promise<MissingLook> {
  try {
    return { jobs: await scheduler.get(host, { jobId, signal }) };
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = toBrokerError(thrown);
    const isProof = code === 'JobNotFound';
    const answer = isProof ? 'The queue and the accounting answered, and know no such job.' : message.slice(0, 500);
    return { look: { at: Date.now(), answer, isProof } };
  }
}
