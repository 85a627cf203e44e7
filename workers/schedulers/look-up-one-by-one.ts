/** Many jobs for a scheduler that can be asked for one at a time only. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Job } from '../../shared/operations/compute/job.ts';
import type { LookUpRequest, SchedulerAdapter, SchedulerHost } from './scheduler.ts';

/** `SchedulerAdapter.lookUp` by `get`, one after the other: a crowd must not become a crowd at the scheduler. */
export async function lookUpOneByOne(
  get: SchedulerAdapter['get'],
  host: SchedulerHost,
  { jobIds, signal }: LookUpRequest,
): Promise<Map<string, Job[]>> {
  const found = new Map<string, Job[]>();
  for (const jobId of jobIds) {
    const jobs = await get(host, { jobId, signal }).catch(noneWhenNotFound);
    if (jobs) found.set(jobId, jobs);
  }
  return found;
}

/** Undefined in the place of JobNotFound; all else is thrown. */
export function noneWhenNotFound(error: unknown): undefined {
  if (!(error instanceof BrokerError) || error.code !== 'JobNotFound') throw error;
}
