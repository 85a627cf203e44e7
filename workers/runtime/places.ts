/**
 * The places that running tasks hold. A task that only waits for the answer to a question it shares with others gives its
 * place up for good: a crowd of these keeps nobody else from running.
 */
import { createGate } from './concurrency-gate.ts';

/** Tasks without a place that a queue may have besides those that hold one. */
export const placelessMax = 1_000;

export interface Places {
  /** A gate for `max` tasks at once. */
  gate(max: number): <T>(taskId: string, work: () => Promise<T>) => Promise<T>;
  /** Gives up the place of a task. May be called twice. */
  leave(taskId: string): void;
}

export function createPlaces(): Places {
  const leaving = new Map<string, () => void>();
  return {
    gate(max) {
      const gate = createGate(max);
      return async (taskId, work) => {
        let leave = (): void => {};
        const left = new Promise<void>((resolve) => {
          leave = resolve;
        });
        return new Promise((resolve, reject) => {
          void gate(async () => {
            leaving.set(taskId, leave);
            const done = work();
            done.then(resolve, reject);
            await Promise.race([done, left]).catch(() => undefined);
            if (leaving.get(taskId) === leave) leaving.delete(taskId);
          });
        });
      };
    },
    leave(taskId) {
      leaving.get(taskId)?.();
    },
  };
}
