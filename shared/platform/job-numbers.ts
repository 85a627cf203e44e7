/**
 * Job ids for work that no scheduler runs. FirecREST's clients know a transfer as a job, with an id of digits; ours begin
 * where no scheduler counts to, and stay below 2^53, since clients read them as numbers.
 */
import { type Redis, withStore } from './redis.ts';

/** Slurm's ids end at 2^26, OpenPBS's at 10^12. */
const firstNumber = 1_000_000_000_000;

export interface JobNumbers {
  /** A new id for the task, known for `keepMs`. Throws StoreUnavailable, as all here. */
  assign(taskId: string, keepMs: number): Promise<string>;
  /** The task of an id; null for one that is no more known, or never was. */
  taskOf(jobId: string): Promise<string | null>;
}

/** Whether an id is of this kind; no other may be looked up at the scheduler. */
export function isJobNumber(jobId: string): boolean {
  return /^[0-9]{13,16}$/.test(jobId) && Number(jobId) > firstNumber && Number.isSafeInteger(Number(jobId));
}

/** Over a connection, which stays the caller's to close. */
export function createJobNumbers(redis: Redis, keyPrefix: string): JobNumbers {
  const keyOf = (jobId: string) => `${keyPrefix}:job:${jobId}`;
  return {
    assign: (taskId, keepMs) =>
      withStore(async () => {
        const jobId = String(firstNumber + (await redis.incr(`${keyPrefix}:job-numbers`)));
        await redis.set(keyOf(jobId), taskId, 'PX', Math.ceil(keepMs));
        return jobId;
      }),
    taskOf: (jobId) => withStore(() => redis.get(keyOf(jobId))),
  };
}
