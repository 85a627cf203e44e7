/** What is done to one job by its id, as its user, and is safe to do twice. */
import type { SchedulerAdapter } from '../../schedulers/scheduler.ts';
import type { OperationContext } from '../operation-context.ts';

type Act = Extract<keyof SchedulerAdapter, 'cancel' | 'hold' | 'release'>;
type Handle = (
  input: { jobId: string },
  context: Pick<OperationContext, 'scheduler' | 'host' | 'signal' | 'jobs'>,
) => Promise<{ jobId: string }>;

/** The errors are those of the adapter's method. */
export function actOnJob(act: Act): Handle {
  return async ({ jobId }, { scheduler, host, signal, jobs }) => {
    await scheduler[act](host, { jobId, signal });
    jobs.changed();
    return { jobId };
  };
}
