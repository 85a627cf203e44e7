/**
 * The hold of one attempt on its task. A mutation is claimed before its handler begins. A read may begin at once and is claimed
 * when it takes long or, with its end, in one write: it has no effect that a second run could double. Of a task that began
 * while its entry was being taken nothing is written before this worker has got the entry.
 */
import { randomUUID } from 'node:crypto';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { TaskTicket } from '../../shared/platform/queues.ts';
import type { Claim, Claimant, Settlement, TaskEnd, TaskStore } from '../../shared/platform/task-store.ts';
import type { Progress } from '../../shared/tasks/task.ts';

export interface Grip {
  /** Claims the task now, once; the same answer however often it is asked. */
  claim(): Promise<Claim>;
  /** As `claim`; throws WorkerLost where another claim came first. */
  hold(): Promise<void>;
  /** Writes the journal, claiming the task with it where that was not done before. False: another claim came first. */
  journal(entry: Record<string, unknown>, progress?: Progress): Promise<boolean>;
  /** Ends the task, claiming it with the end where that was not done before. */
  settle(end: TaskEnd): Promise<Settlement>;
}

/** `isTaken`: whether this worker got the entry, where that is not known yet. */
export function createGrip(
  store: TaskStore,
  ticket: TaskTicket,
  entryId: string,
  worker: string,
  isTaken?: Promise<boolean>,
): Grip {
  const by: Claimant = { entryId, worker, startedAt: Date.now(), claimId: randomUUID() };
  let claiming: Promise<Claim> | undefined;
  const claimIfTaken = async (entry?: Record<string, unknown>): Promise<Claim> => {
    if (isTaken !== undefined && !(await isTaken)) return { outcome: 'superseded' };
    return await store.claim(ticket, by, entry);
  };
  const claim = (entry?: Record<string, unknown>): Promise<Claim> => {
    claiming ??= claimIfTaken(entry).catch((error: unknown) => {
      claiming = undefined; // nobody knows yet whether it holds; the same claim may be made again
      throw error;
    });
    return claiming;
  };
  return {
    claim: () => claim(),
    async hold() {
      const { outcome } = await claim();
      if (outcome !== 'claimed') throw new BrokerError('WorkerLost', 'Another worker has taken the task over.');
    },
    async journal(entry, progress) {
      if (claiming === undefined) return (await claim(entry)).outcome === 'claimed';
      const claimed = await claiming;
      return claimed.outcome === 'claimed' && store.writeJournal(ticket.id, claimed.task.fence, entry, progress);
    },
    async settle(end) {
      if (claiming === undefined) {
        if (isTaken !== undefined && !(await isTaken)) return { outcome: 'superseded' };
        return store.claimAndSettle(ticket, by, end);
      }
      const claimed = await claiming;
      if (claimed.outcome !== 'claimed') return { outcome: claimed.outcome };
      return store.settle(ticket.id, claimed.task.fence, end);
    },
  };
}
