/**
 * The hold of one attempt on its task. A mutation is claimed before its handler begins. A read may begin at once and is claimed
 * when it takes long or, with its end, in one write: it has no effect that a second run could double. Of a task that began
 * while its entry was being taken nothing is written unless this worker has got the entry: Redis itself is asked to look,
 * so that a claim need not wait for the answer to the taking and shares its sync.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { TaskTicket } from '../../shared/platform/queues.ts';
import type { Claim, Claimant, Claimed, Settlement, TaskEnd, TaskStore } from '../../shared/platform/task-store.ts';
import type { Progress, Task } from '../../shared/tasks/task.ts';
import type { Taking } from './taking.ts';

export interface Grip {
  /** Whether the entry was taken for this worker, which it is when nothing else waits. */
  readonly isHanded: boolean;
  /** Whether this worker got the entry, once that is known. Never rejects. */
  readonly isOurs: Promise<boolean>;
  /** Claims the task now, once; the same answer however often it is asked. */
  claim(): Promise<Claim>;
  /** Sends the claim; resolves when it is on its way. Never rejects: what comes of it is told to who asks for the claim. */
  sendClaim(): Promise<void>;
  /** As `claim`; throws WorkerLost where another claim came first. */
  hold(): Promise<void>;
  /** Writes the journal, claiming the task with it where that was not done before. False: another claim came first. */
  journal(entry: Record<string, unknown>, progress?: Progress): Promise<boolean>;
  /** Ends the task, claiming it with the end where that was not done before. */
  settle(end: TaskEnd): Promise<Settlement>;
}

/** The task, claimed; null where another claim came first. */
export async function claimedTask(grip: Pick<Grip, 'claim'>, log: Logger): Promise<Task | null> {
  const claim = await grip.claim();
  if (claim.outcome === 'claimed') return claim.task;
  log.warn({ outcome: claim.outcome }, 'the task had moved on');
  return null;
}

/** `taking`: of the entry, where it is not known yet who got it. `claimed`: where the API claimed the task for this worker. */
export function createGrip(
  store: TaskStore,
  ticket: TaskTicket,
  entryId: string,
  worker: string,
  taking?: Taking,
  claimed?: Claimed,
): Grip {
  const by: Claimant = { entryId, worker, startedAt: Date.now(), claimId: randomUUID() };
  let claiming: Promise<Claim> | undefined = claimed && Promise.resolve(claimed);
  const ifTaken = async <Answer extends { outcome: string }>(
    write: (claimant: Claimant) => Promise<Answer>,
  ): Promise<Answer | { outcome: 'superseded' }> => {
    if (taking === undefined) return await write(by);
    await taking.send();
    const answer = await write({ ...by, lock: taking.lock });
    if (answer.outcome !== 'untaken') return answer;
    if (!(await taking.isOurs)) return { outcome: 'superseded' };
    // The taking is answered: now the lock stands there, or it was lost and the entry comes back to somebody.
    const again = await write({ ...by, lock: taking.lock });
    return again.outcome === 'untaken' ? { outcome: 'superseded' } : again;
  };
  const claimIfOurs = async (entry?: Record<string, unknown>): Promise<Claim> => {
    const made = await ifTaken((claimant) => store.claim(ticket, claimant, entry));
    // The answer to the taking may be lost: then the entry comes back, and with it the task, to whoever gets it next.
    return taking === undefined || (await taking.isOurs) ? made : { outcome: 'superseded' };
  };
  const claim = (entry?: Record<string, unknown>): Promise<Claim> => {
    claiming ??= claimIfOurs(entry).catch((error: unknown) => {
      claiming = undefined; // nobody knows yet whether it holds; the same claim may be made again
      throw error;
    });
    return claiming;
  };
  return {
    isHanded: taking?.isHanded === true,
    isOurs: taking?.isOurs ?? Promise.resolve(true),
    claim: () => claim(),
    async sendClaim() {
      claim().catch(() => undefined);
      await taking?.send();
      await endOfTurn(); // the commands of a turn go out at its end
    },
    async hold() {
      const { outcome } = await claim();
      if (outcome !== 'claimed') throw new BrokerError('WorkerLost', 'Another worker has taken the task over.');
    },
    async journal(entry, progress) {
      if (claiming === undefined) return (await claim(entry)).outcome === 'claimed';
      const claimed = await claiming;
      return claimed.outcome === 'claimed' && store.writeJournal(ticket.id, claimed.fence, entry, progress);
    },
    async settle(end) {
      if (claiming === undefined) return ifTaken((claimant) => store.claimAndSettle(ticket, claimant, end));
      const claimed = await claiming;
      if (claimed.outcome !== 'claimed') return { outcome: claimed.outcome };
      return store.settle(ticket.id, claimed.fence, end);
    },
  };
}
