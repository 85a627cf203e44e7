/**
 * Slurm by slurmrestd, as the user whom a short-lived token names. `hybrid` goes to the login node for what REST lacks:
 * scripts of jobs, commands within jobs, estimates, lists (10,000 jobs are 50 MB here) and jobs that REST cannot be told.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';
import { lookUpOneByOne } from '../look-up-one-by-one.ts';
import { notSupported } from '../not-supported.ts';
import type { JobList, ListRequest, SchedulerAdapter, SchedulerHost } from '../scheduler.ts';
import { findJob } from '../slurm-cli/get-job.ts';
import { composeList, nothingWhenFailed } from '../slurm-cli/list-jobs.ts';
import { requireJobId } from '../slurm-cli/slurm-job-id.ts';
import type { QueuedJob } from '../slurm-cli/squeue.ts';
import { createDialectChoice } from './api-version.ts';
import { cancelJob, changedFields, changeJob, holdJob } from './change-job.ts';
import { listAccounts, listNodes, listPartitions, listReservations, pingController } from './cluster.ts';
import { NotExpressible } from './directives.ts';
import { jobUsage, lookUpJobs, oneByOneMax } from './many-jobs.ts';
import type { Rest } from './rest-client.ts';
import { accountedJobs, eachQueuedJob, listAccountedJobs, queuedJobs, type Session } from './rest-jobs.ts';
import { findByKey, submitJob } from './submit.ts';

export interface SlurmRestOptions {
  rest: Rest;
  /** `0.0.38`; null: the newest that both sides know. */
  apiVersion: string | null;
}

type OpenSession = (host: SchedulerHost, signal: AbortSignal) => Promise<Session>;

const byLoginNode = 'is not possible by REST; the administrators may set connection_mode of this system to hybrid.';

/** The adapter for `connection_mode: rest`. */
export function createSlurmRest({ rest, apiVersion }: SlurmRestOptions): SchedulerAdapter {
  const choose = createDialectChoice(rest, apiVersion);
  const open: OpenSession = async ({ username, origin, asked }, signal) => {
    const observed: Rest = (call) => {
      asked?.();
      return rest({ ...call, origin });
    };
    return { rest: observed, username, signal, dialect: await choose({ username, signal }) };
  };
  const get: SchedulerAdapter['get'] = async (host, { jobId, signal }) => {
    const wanted = requireJobId(jobId);
    const session = await open(host, signal);
    const queued = () => queuedJobs(session, wanted);
    const accounted = () => accountedJobs(session, wanted);
    return findJob(wanted, { queued, accounted }, signal);
  };
  return {
    submit: async (host, request) => submitJob(await open(host, request.signal), host, request),
    findByKey: (host, request) => findJobsByKey(open, host, request),
    get,
    lookUp: async (host, request) =>
      request.jobIds.length <= oneByOneMax
        ? lookUpOneByOne(get, host, request)
        : lookUpJobs(await open(host, request.signal), request),
    usage: async (host, request) => jobUsage(await open(host, request.signal), request),
    list: async (host, request) => listJobs(await open(host, request.signal), request),
    metadata: notSupported(`The script of a job ${byLoginNode}`),
    attach: notSupported(`A command within a job ${byLoginNode}`),
    cancel: async (host, { jobId, signal }) => cancelJob(await open(host, signal), jobId),
    hold: async (host, { jobId, signal }) => holdJob(await open(host, signal), jobId, true),
    release: async (host, { jobId, signal }) => holdJob(await open(host, signal), jobId, false),
    async modify(host, { jobId, changes, signal }) {
      const session = await open(host, signal);
      await changeJob(session, jobId, changedFields(session, changes));
    },
    estimate: notSupported(`An estimate ${byLoginNode}`),
    ping: async (host, signal) => pingController(await open(host, signal)),
    nodes: async (host, signal) => listNodes(await open(host, signal)),
    partitions: async (host, { showsHidden, signal }) => listPartitions(await open(host, signal), showsHidden),
    reservations: async (host, signal) => listReservations(await open(host, signal)),
    accounts: async (host, signal) => listAccounts(await open(host, signal)),
  };
}

/** The adapter for `connection_mode: hybrid`: `rest`, and `cli` for what it lacks. */
export function createSlurmHybrid(rest: SchedulerAdapter, cli: SchedulerAdapter): SchedulerAdapter {
  return {
    ...rest,
    submit: (host, request) =>
      // Thrown before anything is sent.
      rest.submit(host, request).catch((error: unknown) => {
        if (!(error instanceof NotExpressible)) throw error;
        return cli.submit(host, request);
      }),
    async get(host, request) {
      const jobs = await rest.get(host, request);
      // REST may not know the exit code of a job that left the queue, or of a step.
      return jobs.some(lacksExitCode) ? cli.get(host, request) : jobs;
    },
    modify: (host, request) =>
      // Thrown before anything is sent.
      rest.modify(host, request).catch((error: unknown) => {
        if (!(error instanceof BrokerError) || error.code !== 'NotSupported') throw error;
        return cli.modify(host, request);
      }),
    list: cli.list,
    lookUp: cli.lookUp,
    usage: cli.usage,
    metadata: cli.metadata,
    attach: cli.attach,
    estimate: cli.estimate,
  };
}

function lacksExitCode({ status, tasks }: Job): boolean {
  return [status, ...(tasks ?? []).map((task) => task.status)].some(
    ({ state, exitCode }) => state === 'FAILED' && exitCode === null,
  );
}

async function findJobsByKey(
  open: OpenSession,
  host: SchedulerHost,
  request: Parameters<SchedulerAdapter['findByKey']>[1],
): ReturnType<SchedulerAdapter['findByKey']> {
  // A slurmrestd that is away makes the look uncertain, as a look that fails does.
  const session = await open(host, request.signal).catch((error: unknown) => {
    if (request.signal.aborted) throw error;
    return undefined;
  });
  return session ? findByKey(session, request) : { jobIds: [], isCertain: false };
}

/** The user's jobs, or everybody's; both lists are read job by job, and what is not wanted is dropped at once. */
async function listJobs(session: Session, request: ListRequest): Promise<JobList> {
  const { isAllUsers, account, windowSeconds } = request;
  const username = isAllUsers ? null : session.username;
  const queued: QueuedJob[] = [];
  const [accounted] = await Promise.all([
    listAccountedJobs(session, { username, account, windowSeconds }).catch(nothingWhenFailed),
    eachQueuedJob(session, (row) => {
      if (username !== null && row.job.user !== username) return;
      if (account !== null && row.job.account !== account) return;
      queued.push(row);
    }),
  ]);
  return composeList(queued, accounted, request);
}
