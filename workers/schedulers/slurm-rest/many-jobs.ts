/**
 * Many jobs by REST, which can be asked for one job or for all: more than a few are picked out of all. The controller keeps
 * ended jobs for minutes; of those that left it the accounting is asked by their ids.
 */
import type { Job } from '../../../shared/operations/compute/job.ts';
import { noneWhenNotFound } from '../look-up-one-by-one.ts';
import type { JobUsage, LookUpRequest, UsageRequest } from '../scheduler.ts';
import { activeJobs, findJob, group, partsOf } from '../slurm-cli/get-job.ts';
import { isWanted } from '../slurm-cli/job-rows.ts';
import { parseJobId, type SlurmJobId } from '../slurm-cli/slurm-job-id.ts';
import type { QueuedJob } from '../slurm-cli/squeue.ts';
import { sumOfParts } from '../slurm-cli/usage.ts';
import type { RestAccountedJob } from './accounted-job.ts';
import { accountedJobs, eachQueuedJob, listAccountedJobs, type Session } from './rest-jobs.ts';

/** So many jobs are asked for by themselves; for more, one answer with everybody's jobs is cheaper. */
export const oneByOneMax = 8;

/** Jobs whose figures are asked for have ended a moment ago. */
const endedWithinSeconds = 600;

/** See `SchedulerAdapter.lookUp`. One request, and one for each job that has left the queue. */
export async function lookUpJobs(session: Session, { jobIds, usernames }: LookUpRequest): Promise<Map<string, Job[]>> {
  const wanted = new Map(jobIds.flatMap((jobId) => entry(jobId)));
  const ids = [...wanted.values()];
  const bases = new Set(ids.map(({ base }) => base));
  const asking = new Set(usernames);
  const rows: QueuedJob[] = [];
  await eachQueuedJob(session, (row) => {
    const base = parseJobId(row.job.jobId)?.base ?? '';
    if (bases.has(base) || asking.has(row.job.user ?? '')) rows.push(row);
  });
  const queued = group(rows, new Map());
  const found = activeJobs(queued, ids);
  for (const [jobId, id] of wanted) {
    const sources = { queued: async () => partsOf(queued, id), accounted: () => accountedJobs(session, id) };
    const jobs = await findJob(id, sources, session.signal).catch(noneWhenNotFound);
    if (jobs !== undefined) found.set(jobId, jobs);
  }
  return found;
}

/** See `SchedulerAdapter.usage`. Of a few jobs by a request for each, of more out of all that ended a short while ago. */
export async function jobUsage(session: Session, { jobIds }: UsageRequest): Promise<Map<string, JobUsage>> {
  const wanted = jobIds.flatMap((jobId) => entry(jobId));
  const isFew = new Set(wanted.map(([, { base }]) => base)).size <= oneByOneMax;
  const filter = { username: null, account: null, windowSeconds: endedWithinSeconds };
  const all = isFew ? [] : await listAccountedJobs(session, filter);
  const usages = new Map<string, JobUsage>();
  for (const [jobId, id] of wanted) {
    const parts: RestAccountedJob[] = isFew
      ? await accountedJobs(session, id)
      : all.filter(({ job }) => isWanted(job.jobId, id));
    if (parts.length > 0) usages.set(jobId, sumOfParts(parts.map(({ usage }) => usage)));
  }
  return usages;
}

/** An id that is none is in no answer. */
function entry(jobId: string): [string, SlurmJobId][] {
  const id = parseJobId(jobId);
  return id ? [[jobId, id]] : [];
}
