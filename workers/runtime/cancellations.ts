/** Wishes to cancel, heard from Redis and handed to the attempt that runs here, if any. */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import { cancelChannel } from '../../shared/platform/task-store.ts';

export interface Cancellations {
  /** Aborts `controller` with `TaskCanceled` when the task is to be canceled. Returns the way to stop listening. */
  watch(id: string, controller: AbortController): () => void;
  /** Whether such a wish came in the last moments: what was read of the task before it does not tell. */
  wasHeard(id: string): boolean;
  /** Aborts every attempt that runs here, and each that would begin from now on. */
  stop(reason: BrokerError): void;
  /** Whether `stop` was called. */
  isStopping(): boolean;
}

/** A wish is remembered so long: longer than a record that was read ahead is good for. */
const rememberedMs = 2_000;
/** Most that are remembered; the oldest go first. */
const rememberedMax = 10_000;

/** `subscriber` stays the caller's to close. */
export function createCancellations(subscriber: Redis, keyPrefix: string, log: Logger): Cancellations {
  const running = new Map<string, AbortController>();
  /** Task id → time, the oldest first. */
  const heard = new Map<string, number>();
  let stopReason: BrokerError | undefined;
  const remember = (id: string): void => {
    const now = performance.now();
    heard.delete(id);
    heard.set(id, now);
    for (const [oldest, at] of heard) {
      if (now - at < rememberedMs && heard.size <= rememberedMax) break;
      heard.delete(oldest);
    }
  };
  subscriber.on('message', (channel: string, id: string) => {
    if (channel !== cancelChannel(keyPrefix)) return;
    running.get(id)?.abort(new BrokerError('TaskCanceled', 'The task was canceled.'));
    remember(id);
  });
  subscriber.subscribe(cancelChannel(keyPrefix)).catch((error: unknown) => {
    log.error({ err: error }, 'subscription to cancellations failed');
  });
  return {
    watch(id, controller) {
      running.set(id, controller);
      if (stopReason) controller.abort(stopReason);
      return () => {
        if (running.get(id) === controller) running.delete(id);
      };
    },
    wasHeard: (id) => performance.now() - (heard.get(id) ?? Number.NEGATIVE_INFINITY) < rememberedMs,
    isStopping: () => stopReason !== undefined,
    stop(reason) {
      stopReason = reason;
      for (const controller of running.values()) controller.abort(reason);
    },
  };
}
