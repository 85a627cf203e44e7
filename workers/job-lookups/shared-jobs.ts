/** What the handlers of one attempt may ask about jobs together with others. */
import type { OperationContext, SharedJobs } from '../operations/operation-context.ts';
import type { Attempt } from '../runtime/task-runner.ts';
import type { SchedulerHost } from '../schedulers/scheduler.ts';
import type { Ssh } from '../ssh/ssh.ts';
import type { JobLookups, LookupSite } from './job-lookups.ts';

export interface SharedJobsDependencies {
  lookups: JobLookups;
  /** The name of a system's service account; a system without one is not in it. */
  accounts: ReadonlyMap<string, () => Promise<string>>;
  /** Gives up the place of a task that only waits for others from now on. */
  leave: (taskId: string) => void;
  ssh: Pick<Ssh, 'shell' | 'files'>;
}

export type SharedJobsOf = (
  at: Pick<OperationContext, 'system' | 'scheduler' | 'host'>,
  attempt: Pick<Attempt, 'task' | 'signal'>,
) => SharedJobs;

export function createSharedJobs({ lookups, accounts, leave, ssh }: SharedJobsDependencies): SharedJobsOf {
  return ({ system, scheduler, host }, { task, signal }) => {
    const { name } = system;
    const findAccount = async (): Promise<SchedulerHost | null> => {
      const username = await accounts.get(name)?.();
      return username === undefined
        ? null
        : { username, shell: ssh.shell(name, username), files: ssh.files(name, username) };
    };
    const site: LookupSite = { system: name, windowMs: system.scheduler.lookupWindowMs, scheduler, host, findAccount };
    return {
      get(jobId) {
        leave(task.id);
        return lookups.get(site, jobId, signal);
      },
      share: (what, work) => lookups.share(site, what, signal, work),
      changed: () => lookups.changed(site),
    };
  };
}
