/**
 * Who waits in this process for the end of a task. Redis tells one channel per process; a slow look at the records is
 * the net under it, since a message published while the subscription was down is lost.
 */
import type { Logger } from 'pino';
import type { Redis } from '../../shared/platform/redis.ts';
import { offerWord, replyChannel, type TaskStore } from '../../shared/platform/task-store.ts';
import { isTerminal, type TaskState } from '../../shared/tasks/states.ts';

export interface Waiters {
  /** Begins to wait. Do so before the task is accepted: a fast task ends before the accept has answered. */
  wait(id: string, waitMs: number, until?: WaitedFor): Wait;
  /** How many wait now. */
  size(): number;
  close(): void;
}

/** `prepared`: also satisfied when the task was laid by for the first time, which says that it was found good. */
export type WaitedFor = 'end' | 'prepared';

/** What was heard of an end: only that, or also what the message said. */
export interface Ending {
  state?: TaskState;
  /** JSON text of a small result. */
  resultJson?: string;
}

export interface Wait {
  /** The next address at which a worker waits for this request, in order; null when the task or the wait has ended. */
  nextOffer(): Promise<string | null>;
  /** Waits so long from now on. */
  extend(waitMs: number): void;
  /** Resolves when the task has ended; null after `waitMs` or when it was abandoned. */
  ended: Promise<Ending | null>;
  abandon(): void;
}

interface Waiter {
  resolve: (ending: Ending | null) => void;
  offer: (url: string) => void;
  since: number;
  until: WaitedFor;
}

/** Milliseconds between two looks at the records of all who have waited at least that long. */
const lookIntervalMs = 1_500;

/** Subscribes `subscriber` to the channel of `instance`; the connection stays the caller's to close. */
export function createWaiters(
  subscriber: Redis,
  store: Pick<TaskStore, 'readEnd'>,
  options: { keyPrefix: string; instance: string; log: Logger },
): Waiters {
  const waiting = new Map<string, Set<Waiter>>();
  const end = (id: string, ending: Ending): void => {
    for (const waiter of waiting.get(id) ?? []) waiter.resolve(ending);
  };

  const prepared = (id: string): void => {
    for (const waiter of waiting.get(id) ?? []) if (waiter.until === 'prepared') waiter.resolve({});
  };

  const channel = replyChannel(options.keyPrefix, options.instance);
  subscriber.on('message', (at: string, message: string) => {
    if (at !== channel) return;
    const [id = '', state, ...rest] = message.split(' ');
    if (state === 'prepared') return prepared(id);
    const resultJson = rest.join(' ');
    if (state === offerWord) {
      for (const waiter of waiting.get(id) ?? []) waiter.offer(resultJson);
      return;
    }
    end(id, { state: state as TaskState, ...(resultJson === '' ? {} : { resultJson }) });
  });
  // Not awaited: with Redis away at start the subscription follows when it is back.
  subscriber.subscribe(channel).catch((error: unknown) => {
    options.log.error({ err: error }, 'subscription to the reply channel failed');
  });

  let isLooking = false;
  const look = async (): Promise<void> => {
    const before = Date.now() - lookIntervalMs;
    const late = [...waiting].filter(([, set]) => [...set].some((waiter) => waiter.since < before));
    await Promise.all(
      late.map(async ([id]) => {
        const record = await store.readEnd(id);
        if (record === null || isTerminal(record.state)) end(id, {});
        else if (record.isPrepared) prepared(id);
      }),
    );
  };
  const timer = setInterval(() => {
    if (isLooking || waiting.size === 0) return;
    isLooking = true;
    look()
      .catch((error: unknown) => options.log.debug({ err: error }, 'look at waited-for tasks failed'))
      .finally(() => {
        isLooking = false;
      });
  }, lookIntervalMs);
  timer.unref();

  return {
    wait(id, waitMs, until = 'end') {
      const set = waiting.get(id) ?? new Set<Waiter>();
      waiting.set(id, set);
      let finish: (ending: Ending | null) => void = () => {};
      let extend: (waitMs: number) => void = () => {};
      const offers = createOffers();
      const ended = new Promise<Ending | null>((resolve) => {
        let deadline = setTimeout(() => finish(null), waitMs);
        let isOver = false;
        extend = (longerMs) => {
          clearTimeout(deadline);
          if (!isOver) deadline = setTimeout(() => finish(null), longerMs);
        };
        finish = (ending) => {
          isOver = true;
          clearTimeout(deadline);
          set.delete(waiter);
          if (set.size === 0 && waiting.get(id) === set) waiting.delete(id);
          offers.end();
          resolve(ending);
        };
        const waiter: Waiter = { resolve: finish, offer: offers.add, since: Date.now(), until };
        set.add(waiter);
      });
      return { ended, nextOffer: offers.next, extend: (longerMs) => extend(longerMs), abandon: () => finish(null) };
    },
    size: () => waiting.size,
    close() {
      clearInterval(timer);
      for (const set of waiting.values()) for (const waiter of set) waiter.resolve(null);
    },
  };
}

/** Addresses in the order in which they were first told; each is told until somebody comes, so most come more than once. */
function createOffers() {
  const told = new Set<string>();
  const waiting: string[] = [];
  let isOver = false;
  let wake: (url: string | null) => void = () => {};
  return {
    add(url: string): void {
      if (told.has(url)) return;
      told.add(url);
      waiting.push(url);
      wake(url);
    },
    end(): void {
      isOver = true;
      wake(null);
    },
    async next(): Promise<string | null> {
      if (waiting.length === 0 && !isOver) {
        await new Promise<string | null>((resolve) => {
          wake = resolve;
        });
      }
      return isOver ? null : (waiting.shift() ?? null);
    },
  };
}
