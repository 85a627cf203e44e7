/** What runs in this worker now, by queue, and how long tasks had waited for it. */

import { type Meter, type Reading, reading, systemLabel } from '../../shared/platform/metrics/meter.ts';
import { laneOf } from '../../shared/platform/queues.ts';
import type { Task } from '../../shared/tasks/task.ts';

type Waited = Pick<Task, 'queue' | 'system' | 'attempt' | 'journal' | 'chain' | 'createdAt' | 'startAt'>;

export interface RunWatch {
  /** An attempt begins; what it returns is to be called at its end, once. */
  begin(task: Waited): () => void;
  read(): readonly Reading[];
}

export function createRunWatch(meter: Meter): RunWatch {
  const running = new Map<string, { lane: string; system: string; count: number }>();
  return {
    begin(task) {
      const { queue, system, createdAt, startAt } = task;
      const known = running.get(queue);
      const place = known ?? { lane: laneOf(queue), system: systemLabel(system), count: 0 };
      if (known === undefined) running.set(queue, place);
      place.count += 1;
      if (isFirst(task)) {
        const { lane, system: on } = place;
        const since = Math.max(createdAt, startAt ?? 0);
        meter.observe('goldcrest_task_wait_seconds', { lane, system: on }, (Date.now() - since) / 1_000);
      }
      return () => {
        place.count -= 1;
      };
    },
    read: () =>
      [...running.values()].map(({ lane, system, count }) =>
        reading('goldcrest_tasks_running', { lane, system }, count),
      ),
  };
}

/** Not a repeat, a later look at work that was laid by, nor a later step of a chain. */
function isFirst({ attempt, journal, chain }: Waited): boolean {
  return attempt === 1 && journal === null && (chain === null || chain.at === 0);
}
