/**
 * Tasks of a system that was taken out of the configuration: nobody reads their queue and nobody sweeps it. They are
 * ended, so that their owners learn why and their places are free.
 */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import type { TaskStore } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { endOf, type OnEnded } from './end-attempt.ts';

export interface OrphanDependencies {
  store: TaskStore;
  redis: Redis;
  keyPrefix: string;
  /** Queues of every configured system, whether this worker serves it or not. */
  knownQueues: ReadonlySet<string>;
  onEnded?: OnEnded;
  log: Logger;
}

/** Time a task is given: while an upgrade goes on, this worker may not know yet what others do. */
const graceMs = 300_000;
/** Tasks of one queue that are ended in one round; the others follow in the next. */
const perRoundMax = 500;

/** Key of the lease by which one worker at a time sweeps a queue; while anybody serves it, it exists. */
export function sweepLeaseKey(keyPrefix: string, queue: string): string {
  return `${keyPrefix}:sweeper:${queue}`;
}

/** What is true of a task that nobody will run: where it may have had an effect, the end does not deny that. */
function errorOf(task: Task): BrokerError {
  const mayHaveActed =
    task.journal !== null || (task.state === 'active' && findOperation(task.operation)?.mutates !== false);
  return mayHaveActed
    ? new BrokerError(
        'OutcomeUnknown',
        `The system ${task.system} was removed while the task ran; its effect is not known.`,
      )
    : new BrokerError('SystemNotFound', `The system ${task.system} is no longer configured.`);
}

async function endOrphans(deps: OrphanDependencies, queue: string, now: number): Promise<number> {
  const ids = await deps.store.listOpen(queue, now - graceMs, 0, perRoundMax);
  const ended = await Promise.all(
    ids.map(async (id) => {
      const task = await deps.store.read(id);
      if (task === null) {
        await deps.store.forgetOpen(queue, id);
        return false;
      }
      const end = endOf(errorOf(task));
      const settled = await deps.store.settle(id, task.fence, end);
      deps.onEnded?.(task, end, settled);
      // Those that this let through are open tasks of the same queue: their turn comes in this round or the next.
      return settled.outcome === 'settled';
    }),
  );
  return ended.filter(Boolean).length;
}

/** Ends the old tasks of every queue that is not known here and that no worker serves. Returns how many. */
export async function sweepOrphans(deps: OrphanDependencies, now: number): Promise<number> {
  let count = 0;
  for (const queue of await deps.store.queueNames()) {
    if (deps.knownQueues.has(queue)) continue;
    if ((await deps.redis.exists(sweepLeaseKey(deps.keyPrefix, queue))) === 1) continue;
    const ended = await endOrphans(deps, queue, now);
    if (ended > 0) deps.log.warn({ queue, ended }, 'tasks of a system that is no longer configured were ended');
    count += ended;
  }
  return count;
}
