/**
 * Hands tasks to workers that have room: the API takes the entry for one of them in the write that accepts its task. Which
 * workers there are it hears from them; whether one still hears, and has room, Redis looks at itself.
 */
import { randomUUID } from 'node:crypto';
import { handChannel, type Taker, takerOf, takersChannel } from '../../shared/platform/hand-over.ts';
import { handOverScript } from '../../shared/platform/hand-over-script.ts';
import { type EntrySender, entryKey } from '../../shared/platform/queues.ts';
import type { Redis } from '../../shared/platform/redis.ts';

/** A worker that was not heard of for so long is handed nothing: it tells every 2 s. */
const heardOfMs = 6_000;
/** Most workers that are remembered; the one heard of longest ago is forgotten. */
const takersMax = 1_000;

/** Time for which nothing of a queue is handed over where there was more to do than one worker takes so. */
const busyMs = 50;

export interface HandOver {
  /** Sends what hands the entry over, where it is of one task that was just accepted and a worker is known that takes it. */
  send: EntrySender;
  /** Whether a worker is known that takes entries of the queue. */
  hasTaker(queue: string): boolean;
}

interface HandingRedis {
  gcHandOver(...keysAndArgs: (string | number)[]): Promise<string>;
}

/** `redis`: the connection of the accepts and the queues. Both connections stay the caller's to close. */
export function createHandOver(redis: Redis, subscriber: Redis, keyPrefix: string): HandOver {
  redis.defineCommand('gcHandOver', { numberOfKeys: 6, lua: handOverScript });
  const takers = createTakers(subscriber, keyPrefix);
  /** Until when a queue is not asked about again. There are as many as queues. */
  const busyUntil = new Map<string, number>();
  const learn = (outcome: string, taker: Taker, queue: string): void => {
    if (outcome === 'nobody') takers.forget(taker);
    if (outcome === 'busy' || outcome === 'ahead') busyUntil.set(queue, performance.now() + busyMs);
  };

  const send: EntrySender = (queue, { entryId, data, options }) => {
    const [ticket] = data.tasks;
    if (ticket === undefined || data.tasks.length > 1 || ticket.fence !== 0 || ticket.via !== undefined) return;
    if (performance.now() < (busyUntil.get(queue) ?? 0)) return;
    const taker = takers.next(queue);
    const its = taker?.queues[queue];
    if (taker === undefined || its === undefined) return;
    const key = (name: string): string => entryKey(keyPrefix, queue, name);
    (redis as unknown as HandingRedis)
      .gcHandOver(
        ...[`${keyPrefix}:task:${ticket.id}`, ...['wait', 'active', 'prioritized', 'delayed', 'meta'].map(key)],
        ...[keyPrefix, ticket.id, key(''), entryId, JSON.stringify(data), JSON.stringify(options), Date.now()],
        ...[its.token, taker.lockMs, its.activeMax, handChannel(keyPrefix, taker.worker), queue, taker.worker],
        ticket.isMutation === true ? randomUUID() : '',
      )
      .then(
        (outcome) => learn(outcome, taker, queue),
        () => undefined, // the entry that follows it goes its usual way
      );
  };
  return { send, hasTaker: takers.has };
}

/** The workers that told that they take entries, the one first that was chosen or began longest ago. */
function createTakers(subscriber: Redis, keyPrefix: string) {
  const known = new Map<string, { taker: Taker; heardAt: number }>();
  const channel = takersChannel(keyPrefix);
  subscriber.on('message', (at: string, message: string) => {
    if (at !== channel) return;
    const taker = takerOf(message);
    if (taker === null) return;
    if (!known.has(taker.worker) && known.size >= takersMax) known.delete(known.keys().next().value ?? '');
    known.set(taker.worker, { taker, heardAt: performance.now() });
  });
  // Not awaited: with Redis away at start the subscription follows when it is back; until then nothing is handed over.
  subscriber.subscribe(channel).catch(() => undefined);
  const find = (queue: string) => {
    const now = performance.now();
    for (const [worker, { taker, heardAt }] of known) {
      if (now - heardAt > heardOfMs) known.delete(worker);
      else if (taker.queues[queue] !== undefined) return taker;
    }
    return undefined;
  };
  return {
    has: (queue: string): boolean => find(queue) !== undefined,
    /** Each in its turn. */
    next(queue: string): Taker | undefined {
      const taker = find(queue);
      const its = taker && known.get(taker.worker);
      if (taker === undefined || its === undefined) return undefined;
      known.delete(taker.worker);
      known.set(taker.worker, its);
      return taker;
    },
    forget(taker: Taker): void {
      if (known.get(taker.worker)?.taker === taker) known.delete(taker.worker);
    },
  };
}
