/**
 * Who waits in this process for the end of a task. Redis tells one channel per process; a slow look at the records is
 * the net under it, since a message published while the subscription was down is lost.
 */
import type { Logger } from 'pino';
import type { Redis } from '../../shared/platform/redis.ts';
import { replyChannel, type TaskStore } from '../../shared/platform/task-store.ts';
import { isTerminal } from '../../shared/tasks/states.ts';

export interface Waiters {
  /** Begins to wait. Do so before the task is accepted: a fast task ends before the accept has answered. */
  wait(id: string, waitMs: number): Wait;
  /** How many wait now. */
  size(): number;
  close(): void;
}

export interface Wait {
  /** True when the task has ended, false after `waitMs` or when it was abandoned. */
  ended: Promise<boolean>;
  abandon(): void;
}

interface Waiter {
  resolve: (hasEnded: boolean) => void;
  since: number;
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
  const end = (id: string): void => {
    for (const waiter of waiting.get(id) ?? []) waiter.resolve(true);
  };

  subscriber.on('message', (_channel: string, message: string) => {
    const cut = message.indexOf(' ');
    if (cut > 0) end(message.slice(0, cut));
  });
  // Not awaited: with Redis away at start the subscription follows when it is back.
  subscriber.subscribe(replyChannel(options.keyPrefix, options.instance)).catch((error: unknown) => {
    options.log.error({ err: error }, 'subscription to the reply channel failed');
  });

  let isLooking = false;
  const look = async (): Promise<void> => {
    const before = Date.now() - lookIntervalMs;
    const late = [...waiting].filter(([, set]) => [...set].some((waiter) => waiter.since < before));
    await Promise.all(
      late.map(async ([id]) => {
        const record = await store.readEnd(id);
        if (record === null || isTerminal(record.state)) end(id);
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
    wait(id, waitMs) {
      const set = waiting.get(id) ?? new Set<Waiter>();
      waiting.set(id, set);
      let finish: (hasEnded: boolean) => void = () => {};
      const ended = new Promise<boolean>((resolve) => {
        const deadline = setTimeout(() => finish(false), waitMs);
        finish = (hasEnded) => {
          clearTimeout(deadline);
          set.delete(waiter);
          if (set.size === 0 && waiting.get(id) === set) waiting.delete(id);
          resolve(hasEnded);
        };
        const waiter: Waiter = { resolve: finish, since: Date.now() };
        set.add(waiter);
      });
      return { ended, abandon: () => finish(false) };
    },
    size: () => waiting.size,
    close() {
      clearInterval(timer);
      for (const set of waiting.values()) for (const waiter of set) waiter.resolve(false);
    },
  };
}
