/** What runs in this worker now, by queue, and how long tasks had waited for it. */

import { type Meter, type Reading, reading, systemLabel } from '../../shared/platform/metrics/meter.ts';
import { laneOf } from '../../shared/platform/queues.ts';
import type { Task } from '../../shared/tasks/task.ts';

type Waited = Pick<Task, 'queue' | 'system' | 'attempt' | 'journal' | 'chain' | 'createdAt' | 'startAt'>;

export interface RunWatch {
  /**
   * An attempt begins; what it returns is to be called at its end, once. Nothing counts of an attempt that began before its entry
   * was taken, where another worker got that (`isOurs`).
   */
  begin(task: Waited, isOurs: Promise<boolean>): () => void;
  read(): readonly Reading[];
}

export function createRunWatch(meter: Meter): RunWatch {
  const running = new Map<string, { lane: string; system: string; count: number }>();
  return {
    begin(task, isOurs) {
      const { queue, system, createdAt, startAt } = task;
      const known = running.get(queue);
      const place = known ?? { lane: laneOf(queue), system: systemLabel(system), count: 0 };
      if (known === undefined) running.set(queue, place);
      const waitedMs = Date.now() - Math.max(createdAt, startAt ?? 0);
      const first = isFirst(task);
      let isCounted = false;
      let isOver = false;
      isOurs.then((isMine) => {
        if (!isMine) return;
        const { lane, system: on } = place;
        if (first) meter.observe('goldcrest_task_wait_seconds', { lane, system: on }, waitedMs / 1_000);
        if (isOver) return;
        isCounted = true;
        place.count += 1;
      });
      return () => {
        isOver = true;
        if (isCounted) place.count -= 1;
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
