/**
 * The net under the queues: every open task has a queue entry or a worker, or gets one. It makes up for a process that
 * died between two writes, for an entry that BullMQ gave up, and for a queue that was emptied by hand.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { entryName, type QueueAdder, type TaskTicket } from '../../shared/platform/queues.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import { openJobsOf } from '../../shared/tasks/chain.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { endOf } from './end-attempt.ts';
import { type OrphanDependencies, sweepLeaseKey, sweepOrphans } from './orphans.ts';

/** Time a task is given before it is looked at. */
const graceMs = 5_000;
const intervalMs = 5_000;
/** One process sweeps a queue at a time; another takes over when its lease runs out. */
const leaseMs = 15_000;
const pageSize = 500;

export interface SweeperDependencies extends OrphanDependencies {
  queues: QueueAdder;
  queueNames: readonly string[];
  worker: string;
}

/** Looks once at every open task that is old enough, closely where something may be wrong. Returns how many were put right. */
export async function sweep(deps: SweeperDependencies, now: number): Promise<number> {
  let mended = 0;
  for (const queue of deps.queueNames) {
    let offset = 0;
    for (;;) {
      const page = { acceptedBefore: now - graceMs, offset, count: pageSize, now };
      const { looked, ids } = await deps.store.listSuspects(queue, page);
      const outcomes = await Promise.all(ids.map((id) => mendOrSkip(deps, queue, id, now)));
      mended += outcomes.filter((outcome) => outcome !== 'well').length;
      // Those that ended left the list, so the next page begins earlier by their number.
      offset += looked - outcomes.filter((outcome) => outcome === 'ended').length;
      if (looked < pageSize) break;
    }
  }
  return mended;
}

type Outcome = 'well' | 'added' | 'ended';

/** One record that cannot be read, such as a newer version's, must not keep the others from being looked at. */
async function mendOrSkip(deps: SweeperDependencies, queue: string, id: string, now: number): Promise<Outcome> {
  try {
    return await mend(deps, queue, id, now);
  } catch (error) {
    deps.log.error({ err: error, task: id }, 'open task could not be looked after');
    return 'well';
  }
}

async function mend(deps: SweeperDependencies, queue: string, id: string, now: number): Promise<Outcome> {
  const task = await deps.store.read(id);
  if (task === null) {
    await deps.store.forgetOpen(queue, id);
    return 'ended';
  }
  if (task.state === 'pending') return mendPending(deps, task, now);
  if (task.state !== 'active') return 'well'; // ended since the list was read
  const ticket: TaskTicket = { id, fence: task.fence - 1, isTakeOver: true, via: 'sweep' };
  if (await hasEntry(deps, task, ticket)) return 'well';
  deps.log.warn({ task: id, fence: task.fence }, 'active task without a queue entry: added again');
  await deps.queues.add(queue, ticket).done;
  return 'added';
}

async function mendPending(deps: SweeperDependencies, task: Task, now: number): Promise<Outcome> {
  // A chain's jobs are canceled by a worker, with the chain.
  const isUntouched = task.journal === null && openJobsOf(task).length === 0;
  if (isUntouched && (task.isCancelRequested || now >= task.deadlineAt)) {
    const error = task.isCancelRequested
      ? new BrokerError('TaskCanceled', 'The task was canceled.')
      : new BrokerError('DeadlineExceeded', 'The deadline passed before the task could run.');
    const end = endOf(error);
    const settled = await deps.store.settle(task.id, task.fence, end);
    deps.onEnded?.(task, end, settled);
    if (settled.outcome === 'settled') {
      await Promise.all(settled.promoted.map((ticket) => deps.queues.add(task.queue, ticket).done));
    }
    return 'ended';
  }
  const standing = await deps.store.standing(task);
  // One that begins later takes its place with its claim, so it is claimed before it is looked at.
  const isLater = standing === 'later';
  const ticket: TaskTicket = { id: task.id, fence: task.fence, via: 'sweep', ...(isLater ? { isMutation: true } : {}) };
  if (standing === 'waiting' || (await hasEntry(deps, task, ticket))) return 'well';
  deps.log.warn({ task: task.id, fence: task.fence }, 'pending task without a queue entry: added again');
  await deps.queues.add(task.queue, ticket, isLater ? Math.max(0, (task.startAt ?? now) - now) : 0).done;
  return 'added';
}

/** Whether an entry carries the task: the one that its record names, or one that a sweep added before. */
async function hasEntry(deps: SweeperDependencies, task: Task, ticket: TaskTicket): Promise<boolean> {
  const { id, fence } = ticket;
  if (await deps.queues.has(task.queue, task.entryId ?? entryName({ id, fence }))) return true;
  return deps.queues.has(task.queue, entryName(ticket));
}

export interface Sweeper {
  stop(): Promise<void>;
}

/** Sweeps every few seconds while this process holds the lease. */
export function startSweeper(deps: SweeperDependencies): Sweeper {
  const stopped = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        // A lease for each queue: workers may serve different ones.
        for (const queue of deps.queueNames) {
          if (stopped.signal.aborted) return;
          const isMine = await holdLease(deps.redis, sweepLeaseKey(deps.keyPrefix, queue), deps.worker);
          if (isMine) await sweep({ ...deps, queueNames: [queue] }, Date.now());
        }
        await sweepOrphans(deps, Date.now());
      } catch (error) {
        deps.log.error({ err: error }, 'sweep failed');
      }
      await sleep(intervalMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    async stop() {
      stopped.abort();
      await running;
    },
  };
}

async function holdLease(redis: Redis, key: string, worker: string): Promise<boolean> {
  const taken = await redis.set(key, worker, 'PX', leaseMs, 'NX');
  if (taken === 'OK') return true;
  if ((await redis.get(key)) !== worker) return false;
  await redis.pexpire(key, leaseMs);
  return true;
}
