/** When Redis is asked whether a task is glanced at no more. */
import { expect, it } from 'vitest';
import { seemsForsaken } from '../../api/tasks/forsaken-task.ts';

const now = 1_795_000_000_000;

it.each([
  ['was glanced at just now', { glancedAt: now - 900, notBeforeAt: now + 9_000 }, false],
  ['was not for longer than two glances take', { glancedAt: now - 2_001, notBeforeAt: now + 8_000 }, true],
  ['is looked at through the queue alone', { glancedAt: null, notBeforeAt: now + 9_000 }, false],
  ['is not laid by', { glancedAt: now - 60_000, notBeforeAt: null }, false],
])('a task that %s', (_title, task, isIt) => {
  expect(seemsForsaken(task, now)).toBe(isIt);
});
