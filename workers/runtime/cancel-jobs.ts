/** What a canceled chain leaves behind on the clusters: jobs that its steps have submitted. They are canceled with it. */
import type { Logger } from 'pino';
import { BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { operations } from '../../shared/operations/registry.ts';
import { openJobsOf } from '../../shared/tasks/chain.ts';
import type { Task } from '../../shared/tasks/task.ts';
import type { Attempt } from './task-runner.ts';

const cancelMsMax = 60_000;
/** Nothing is begun that a later attempt would have to find. */
const claimed = Promise.resolve();
const noJournal = { entry: null, write: async (): Promise<void> => {}, writeMoving: async (): Promise<void> => {} };

type Perform = (operation: Operation, attempt: Attempt) => Promise<unknown>;

/**
 * Cancels them, by their ids; those that have ended are left. Null when none is left, else why one may still run. Safe to
 * run twice.
 */
export async function cancelOpenJobs(perform: Perform, task: Task, log: Logger): Promise<BrokerError | null> {
  const cancel = operations['compute.cancel-job'] as unknown as Operation;
  for (const { system, jobId } of openJobsOf(task)) {
    const attempt = { input: { jobId }, signal: AbortSignal.timeout(cancelMsMax), journal: noJournal, claimed, log };
    try {
      await perform(cancel, { task: { ...task, system }, ...attempt });
      log.info({ jobId }, 'the job of a canceled chain was canceled');
    } catch (thrown) {
      const error = toBrokerError(thrown);
      if (error.code === 'JobNotFound') continue;
      log.warn({ jobId, err: error }, 'the job of a canceled chain could not be canceled yet');
      return new BrokerError('OutcomeUnknown', `Job ${jobId} could not be canceled: ${error.message}`, {
        cause: error,
      });
    }
  }
  return null;
}
