/** Tasks of systems that are no longer configured, in the real store. */
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { by, openTasks, queue, type TaskFixture } from './task-fixture.ts';

let tasks: TaskFixture;
beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url, { admittedPerUserMax: 2 });
});
afterEach(() => tasks.close());

const gone = 'interactive@gone';
const later = () => Date.now() + 301_000;
const removed = (over = {}) => tasks.newTask({ queue: gone, system: 'gone', ...over });

it('tasks of a system that was removed end as failed, those that wait for a turn or a time too', async () => {
  const made = [removed(), removed(), removed(), removed({ startAt: Date.now() + 600_000 })];
  for (const task of made) await tasks.store.accept(task);
  expect(await tasks.sweepOrphans(later())).toBe(4);
  for (const { id } of made) {
    expect(await tasks.store.read(id)).toMatchObject({
      state: 'failed',
      error: { code: 'SystemNotFound', message: 'The system gone is no longer configured.' },
    });
  }
  expect(await tasks.store.countOpen('alice', [gone])).toEqual([0]);
});

it('what may have had an effect ends as unknown, never as a failure that was none', async () => {
  const active = removed({ operation: 'filesystem.mkdir' });
  const journaled = removed({ operation: 'compute.submit-job' });
  const reading = removed({ owner: 'bob' });
  for (const task of [active, journaled, reading]) {
    await tasks.store.accept(task);
    await tasks.store.claim({ id: task.id, fence: 0 }, by(task.id, 'w'));
  }
  await tasks.store.writeJournal(journaled.id, 1, { phase: 'intended' });
  await tasks.store.release(journaled.id, 1, { isHandBack: false, handBacks: 0 });
  await tasks.sweepOrphans(later());
  const ends = await Promise.all([active, journaled, reading].map(({ id }) => tasks.store.read(id)));
  expect(ends.map((task) => task?.error?.code)).toEqual(['OutcomeUnknown', 'OutcomeUnknown', 'SystemNotFound']);
});

it('tasks are left alone that are young, of a known system, or of one that another worker serves', async () => {
  await tasks.store.accept(tasks.newTask({ queue }));
  await tasks.store.accept(removed());
  expect(await tasks.sweepOrphans(Date.now())).toBe(0);
  await tasks.redis.set(`${tasks.keyPrefix}:sweeper:${gone}`, 'another', 'PX', 60_000);
  expect(await tasks.sweepOrphans(later())).toBe(0);
});
