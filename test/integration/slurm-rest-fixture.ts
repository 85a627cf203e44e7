/** Slurm by slurmrestd, as alice, and the calls that the tests of it make. */
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import type {
  FoundJobs,
  JobList,
  ListRequest,
  SchedulerAdapter,
  SchedulerHost,
} from '../../workers/schedulers/scheduler.ts';
import { type Candidate, listOf, newKey, noSignal, submitAs } from './scheduler-candidate.ts';
import { startSchedulerLab } from './scheduler-fixture.ts';

const timeoutMs = 15_000;

/** What an adapter is made with besides the lab's own. */
export interface RestOptions {
  apiVersion?: string;
  apiUrl?: string;
  timeoutMs?: number;
  jwtKeyFile?: string;
  caFile?: string;
}

/** Starts a lab with Slurm; the caller stops it. Without another adapter each call goes by `rest`. */
export async function startSlurmRest() {
  const lab = await startSchedulerLab(['redis', 'sshd', 'slurm']);
  const host = lab.host('gcalice');
  const directory = await lab.directory('gcalice');
  const adapterOf = (
    connectionMode: 'rest' | 'hybrid',
    { jwtKeyFile, caFile, ...more }: RestOptions = {},
  ): SchedulerAdapter => {
    const { url, jwtKeyPath } = lab.lab.slurm.rest;
    const slurmrestd = { jwtKeyFile: jwtKeyFile ?? jwtKeyPath, caFile: caFile ?? null };
    const scheduler = { type: 'slurm', timeoutMs, connectionMode, apiUrl: url, slurmrestd, ...more };
    return createScheduler({ scheduler });
  };
  const rest = adapterOf('rest');
  const candidate = (adapter: SchedulerAdapter, as: SchedulerHost = host): Candidate => ({
    adapter,
    host: as,
    directory,
  });
  return {
    lab,
    host,
    directory,
    adapterOf,
    rest,
    /** The same Slurm by its commands, to compare with. */
    commands: createScheduler({ scheduler: { type: 'slurm', timeoutMs } }),
    candidate,
    submitBy: (
      adapter: SchedulerAdapter,
      script: string,
      more: Partial<JobDescription> = {},
      key = newKey(),
      as = host,
    ): Promise<string> => submitAs(candidate(adapter, as), script, more, key),
    submit: (script: string, more: Partial<JobDescription> = {}, key = newKey()): Promise<string> =>
      submitAs(candidate(rest), script, more, key),
    get: (jobId: string, adapter = rest) => adapter.get(host, { jobId, signal: noSignal }),
    cancel: (jobId: string, as = host) => rest.cancel(as, { jobId, signal: noSignal }),
    find: (key: string, adapter = rest): Promise<FoundJobs> =>
      adapter.findByKey(host, { key, submittedAfter: Date.now(), signal: noSignal }),
    list: (more: Partial<ListRequest> = {}): Promise<JobList> => listOf(candidate(rest), more),
  };
}
