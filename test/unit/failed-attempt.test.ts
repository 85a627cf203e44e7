/** What an attempt is told that ran for as long as it may. */
import { describe, expect, it } from 'vitest';
import { getJob } from '../../shared/operations/compute/get-job.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { timeoutReason } from '../../workers/runtime/failed-attempt.ts';

const dueIn = (ms: number) => ({ deadlineAt: Date.now() + ms }) as Task;

describe('an attempt whose time is over', () => {
  it('is past its deadline, also where its timer fires a moment before the clock says so', () => {
    expect(timeoutReason(dueIn(60_000), getJob, 1_000).code).toBe('DeadlineExceeded');
  });
  it('ran too long where its deadline is further off than its time limit', () => {
    expect(timeoutReason(dueIn(60_000), getJob, getJob.timeoutMs + 1).code).toBe('CommandTimeout');
  });
});
