/** Slurm by its commands, as alice, and the calls that the tests of it make. */
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import type { JobList, ListRequest } from '../../workers/schedulers/scheduler.ts';
import { type Candidate, listOf, newKey, noSignal, submitAs } from './scheduler-candidate.ts';
import { startSchedulerLab } from './scheduler-fixture.ts';

/** Starts a lab with Slurm; the caller stops it. */
export async function startSlurmCli() {
  const adapter = createScheduler({ scheduler: { type: 'slurm', timeoutMs: 15_000 } });
  const lab = await startSchedulerLab(['sshd', 'slurm']);
  const host = lab.host('gcalice');
  const candidate: Candidate = { adapter, host, directory: await lab.directory('gcalice') };
  return {
    lab,
    host,
    adapter,
    candidate,
    submit: (script: string, more: Partial<JobDescription> = {}, key = newKey()): Promise<string> =>
      submitAs(candidate, script, more, key),
    get: (jobId: string) => adapter.get(host, { jobId, signal: noSignal }),
    list: (more: Partial<ListRequest> = {}): Promise<JobList> => listOf(candidate, more),
    metadata: (jobId: string) => adapter.metadata(host, { jobId, signal: noSignal }),
    attach: (jobId: string, command: string, as = host) => adapter.attach(as, { jobId, command, signal: noSignal }),
    cancel: (jobId: string, as = host) => adapter.cancel(as, { jobId, signal: noSignal }),
  };
}
