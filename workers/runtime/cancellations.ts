/** Wishes to cancel, heard from Redis and handed to the attempt that runs here, if any. */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import { cancelChannel } from '../../shared/platform/task-store.ts';

export interface Cancellations {
  /** Aborts `controller` with `TaskCanceled` when the task is to be canceled. Returns the way to stop listening. */
  watch(id: string, controller: AbortController): () => void;
  /** Aborts every attempt that runs here, and each that would begin from now on. */
  stop(reason: BrokerError): void;
  /** Whether `stop` was called. */
  isStopping(): boolean;
}

/** `subscriber` stays the caller's to close. */
export function createCancellations(subscriber: Redis, keyPrefix: string, log: Logger): Cancellations {
  const running = new Map<string, AbortController>();
  let stopReason: BrokerError | undefined;
  subscriber.on('message', (channel: string, id: string) => {
    if (channel !== cancelChannel(keyPrefix)) return;
    running.get(id)?.abort(new BrokerError('TaskCanceled', 'The task was canceled.'));
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
    isStopping: () => stopReason !== undefined,
    stop(reason) {
      stopReason = reason;
      for (const controller of running.values()) controller.abort(reason);
    },
  };
}
