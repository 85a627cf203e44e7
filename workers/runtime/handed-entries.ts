/**
 * The entries that the API takes for this worker. It tells every API process that it takes some, again and again, as long as it
 * hears itself on the channel on which they come; before it stops it leaves that channel.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Handed, handChannel, handedOf, takerMessage, takersChannel } from '../../shared/platform/hand-over.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import type { EarlyWorker } from './early-worker.ts';

const tellEveryMs = 2_000;
/**
 * What comes is at most so old, and its lock, which lasts longer, stands: else it is left alone. All that comes behind the
 * worker's own message was sent after it, so the age of that is a bound, whatever was slow, network or this process.
 */
const oldMs = 2 * tellEveryMs;
/** Longest time for which a worker that stops waits until it has left the channel. */
const leaveMsMax = 1_000;

export interface HandedEntriesOptions {
  worker: string;
  lockMs: number;
  keyPrefix: string;
  redis: Redis;
  /** Stays the caller's to close. */
  subscriber: Redis;
  /** Who works the entries off, by queue. */
  workers: ReadonlyMap<string, Pick<EarlyWorker, 'handedToken' | 'concurrency' | 'takeHanded'>>;
  log: Logger;
}

export interface HandedEntries {
  /** Begins to take entries. */
  begin(): Promise<void>;
  /** Resolves when no more come; those that came were begun. */
  leave(): Promise<void>;
  /** Takes no more at once; those that come come back to other workers as stalled. */
  abandon(): void;
}

export function openHandedEntries(options: HandedEntriesOptions): HandedEntries {
  const { worker, lockMs, keyPrefix, redis, subscriber, workers, log } = options;
  const channel = handChannel(keyPrefix, worker);
  const queues = Object.fromEntries(
    [...workers].map(([name, { handedToken, concurrency }]) => [name, { token: handedToken, activeMax: concurrency }]),
  );
  const message = takerMessage({ worker, lockMs, queues });
  let timer: NodeJS.Timeout | undefined;
  /** When the last message of its own was sent that it heard. */
  let heardOfAt = Number.NEGATIVE_INFINITY;
  let hasLeft = false;

  // Not sent while Redis is away: all that piles up would be told at once.
  const publish = (to: string, text: string): void => {
    if (redis.status === 'ready') redis.publish(to, text).catch(() => undefined); // told again soon
  };
  const onMessage = (at: string, text: string): void => {
    if (at !== channel) return;
    if (isOwn(text)) {
      heardOfAt = Number(text);
      publish(takersChannel(keyPrefix), message);
    } else if (performance.now() - heardOfAt <= oldMs) take(text);
    else log.warn('a task was handed over too long ago: it comes back with its entry');
  };
  const take = (text: string): void => {
    let handed: Handed | null;
    try {
      handed = handedOf(text);
    } catch (error) {
      log.error({ err: error }, 'a task that was handed over cannot be read');
      return; // it comes back with its entry
    }
    if (handed === null) log.error('a message that hands a task over cannot be read');
    else workers.get(handed.queue)?.takeHanded(handed);
  };
  const end = (): void => {
    hasLeft = true;
    clearInterval(timer);
    subscriber.off('message', onMessage);
  };
  return {
    async begin() {
      subscriber.on('message', onMessage);
      try {
        await subscriber.subscribe(channel);
      } catch (error) {
        log.error({ err: error }, 'subscription to what is handed over failed'); // this worker takes all by itself
        return;
      }
      if (hasLeft) return;
      const speak = (): void => publish(channel, String(performance.now()));
      speak();
      timer = setInterval(speak, tellEveryMs);
      timer.unref();
    },
    async leave() {
      clearInterval(timer);
      const left = subscriber.unsubscribe(channel).catch(() => undefined);
      await Promise.race([left, sleep(leaveMsMax, undefined, { ref: false })]);
      end();
    },
    abandon() {
      end();
      subscriber.unsubscribe(channel).catch(() => undefined);
    },
  };
}

/** Whether a message is the worker's own: the time, by its own clock, at which it was sent. */
function isOwn(message: string): boolean {
  return !message.startsWith('[');
}
