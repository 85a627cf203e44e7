/** Work that runs while its consent ends: it is broken off, and what a submission did is found out about all the same. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Attempt } from '../../workers/runtime/task-runner.ts';
import { by, openTasks, statResult, type TaskFixture } from './task-fixture.ts';

const takenBack = new BrokerError('Forbidden', 'The permission was taken back.');
const unknown = new BrokerError('AuthorizationUnavailable', 'OpenFGA does not answer.');

let tasks: TaskFixture;
beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url);
});
afterEach(() => tasks.close());

/** Answers allowed, then what is given, and the last of that from then on; told of each question. */
function answers(...later: (BrokerError | null)[]) {
  let count = 0;
  const waiting: (() => void)[] = [];
  return {
    stillAllowed: async () => {
      count += 1;
      for (const wake of waiting.splice(0)) wake();
      return count === 1 ? null : (later[Math.min(count - 2, later.length - 1)] ?? null);
    },
    /** Resolves when it was asked that often. */
    async asked(times: number): Promise<void> {
      while (count < times) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    count: () => count,
  };
}

/** A handler that goes on until it is told to stop. */
async function untilToldToStop({ signal }: Attempt): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

const endOf = async (id: string) => {
  const task = await tasks.store.read(id);
  return [task?.state, task?.error?.code];
};

describe('work that nobody waits for', () => {
  it('is broken off when its permission is taken back while it runs, and not while nobody can tell', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const consent = answers(unknown, null, unknown, takenBack);
    const runner = tasks.runner((_operation, attempt) => untilToldToStop(attempt), 3, { ...consent, askEveryMs: 10 });
    await runner.run({ id: task.id, fence: 0 }, 'entry');
    expect(await endOf(task.id)).toEqual(['failed', 'Forbidden']);
    expect(consent.count()).toBe(5);
  });

  it('is asked about no more once it has ended', async () => {
    const task = tasks.newTask();
    await tasks.store.accept(task);
    const consent = answers(null);
    const perform = async () => {
      await consent.asked(3);
      return statResult;
    };
    await tasks.runner(perform, 3, { ...consent, askEveryMs: 10 }).run({ id: task.id, fence: 0 }, 'entry');
    expect(await endOf(task.id)).toEqual(['completed', undefined]);
    const before = consent.count();
    const other = tasks.newTask();
    await tasks.store.accept(other);
    const next = answers(null);
    await tasks
      .runner(() => next.asked(5).then(() => statResult), 3, { ...next, askEveryMs: 10 })
      .run({ id: other.id, fence: 0 }, 'entry');
    expect(consent.count()).toBe(before);
  });

  it('of a transfer that goes on is broken off at the end of its consent, where bytes still move', async () => {
    const input = JSON.stringify({ path: '/home/gcalice/a', targetPath: '/home/gcalice/b' });
    const task = tasks.newTask({ operation: 'transfer.cp', input, deadlineAt: Date.now() + 2_500 });
    await tasks.store.accept(task);
    // A worker that was lost meanwhile.
    const lost = await tasks.store.claim({ id: task.id, fence: 0 }, by('entry', 'lost'), { phase: 'working' });
    expect(lost.outcome).toBe('claimed');
    let toldAt = 0;
    const perform = async (_operation: unknown, attempt: Attempt) => {
      await once(attempt.signal, 'abort');
      toldAt = Date.now();
      throw attempt.signal.reason;
    };
    await tasks.runner(perform).run({ id: task.id, fence: 0 }, 'entry');
    expect(await endOf(task.id)).toEqual(['failed', 'DeadlineExceeded']);
    expect(toldAt).toBeGreaterThanOrEqual(task.deadlineAt - 5);
  });
});

it('a submission is not broken off: whether there is a job has to be found out', async () => {
  const input = JSON.stringify({ job: { workingDirectory: '/home/gcalice', script: '#!/bin/sh\n' } });
  const task = tasks.newTask({ queue: 'batch@lab', operation: 'compute.submit-job', input });
  await tasks.store.accept(task);
  const consent = answers(takenBack);
  const other = answers(null);
  const isTold: boolean[] = [];
  const submit = async (_operation: unknown, { journal, signal }: Attempt) => {
    await journal.write({ phase: 'intended' });
    await other.asked(20);
    isTold.push(signal.aborted);
    return { jobId: '1' };
  };
  // Another task of the same pace tells how much time has passed.
  const clock = tasks.newTask();
  await tasks.store.accept(clock);
  const passing = tasks
    .runner(() => other.asked(20).then(() => statResult), 3, { ...other, askEveryMs: 10 })
    .run({ id: clock.id, fence: 0 }, 'clock');
  await tasks.runner(submit, 3, { ...consent, askEveryMs: 10 }).run({ id: task.id, fence: 0 }, 'entry');
  await passing;
  expect([isTold, consent.count()]).toEqual([[false], 1]);
  expect(await endOf(clock.id)).toEqual(['completed', undefined]);
  expect(await endOf(task.id)).toEqual(['completed', undefined]);
});
