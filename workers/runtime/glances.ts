/**
 * Looks at the work of tasks that this worker has laid by: no queue, no claim, no place, one small write each. What a glance
 * cannot settle is left to a look through the queue, whose entry stands there all the while: it is the net under a worker
 * that is lost.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { QueueAdder } from '../../shared/platform/queues.ts';
import type { TaskStore } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';
import type { Glance } from '../operations/parked.ts';

type Glanced = Pick<Task, 'id' | 'fence' | 'queue'>;

export interface Glances {
  /** Whether a task may be glanced at: bounded, and not while the worker stops. */
  hasRoom(): boolean;
  /** Until the task is taken up by a worker, or is to be. `entryId`: the delayed entry that carries it. Where there is no room nothing is done. */
  begin(task: Glanced, entryId: string, glance: Glance): void;
  /** Has all of them taken up, by this worker or another one; resolves when they stand in their queues. */
  stop(): Promise<void>;
}

export interface GlancesDependencies {
  store: Pick<TaskStore, 'tellProgress'>;
  queues: Pick<QueueAdder, 'hurry'>;
  log: Logger;
}

/** Tasks that a worker glances at; others are looked at through the queue. */
export const glancesMax = 1_000;

export function createGlances({ store, queues, log }: GlancesDependencies): Glances {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // each glance that is waited for listens
  const running = new Set<Promise<void>>();

  /** Whether the task is to be taken up now; false: it was already. */
  const untilDue = async (id: string, fence: number, { waitMs, look }: Glance): Promise<boolean> => {
    for (;;) {
      await sleep(waitMs(), undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return true;
      const progress = await look();
      if (progress === null) return true;
      const told = await store.tellProgress(id, fence, progress);
      if (told !== 'told') return told === 'canceled';
    }
  };

  const follow = async ({ id, fence, queue }: Glanced, entryId: string, glance: Glance): Promise<void> => {
    try {
      if (await untilDue(id, fence, glance)) await queues.hurry(queue, entryId);
    } catch (error) {
      log.debug({ err: error, task: id }, 'a glance failed: the task is looked at when its entry is due');
    }
  };

  const hasRoom = (): boolean => running.size < glancesMax && !stopping.signal.aborted;
  return {
    hasRoom,
    begin(task, entryId, glance) {
      if (!hasRoom()) return;
      const following = follow(task, entryId, glance).finally(() => running.delete(following));
      running.add(following);
    },
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}
