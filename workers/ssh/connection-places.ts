/** Bounds the connections to one system, all users together: a place for each, and a wait when all are taken. */
import type { Connection } from './connection.ts';
import { noChannel } from './user-slots.ts';

export interface ConnectionPlaces {
  /**
   * Takes a place, if need be that of the connection which has been idle longest. Throws SshNoChannel when none came
   * free within `waitMs`.
   */
  take(waitMs: number): Promise<void>;
  /** Gives one back. */
  free(): void;
}

/** A connection may become idle without a word, so whoever waits looks again this often. */
const lookAgainMs = 100;

export function createConnectionPlaces(placesMax: number, connections: ReadonlySet<Connection>): ConnectionPlaces {
  const waiting = new Set<() => void>();
  let taken = 0;

  function leastRecentlyIdle(): Connection | undefined {
    const idle = [...connections].filter((connection) => connection.isUsable && connection.isIdle);
    return idle.sort((a, b) => a.lastUsedAt - b.lastUsedAt)[0];
  }

  function nextFree(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      waiting.add(wake);
    });
  }

  return {
    async take(waitMs) {
      const deadline = Date.now() + waitMs;
      while (taken >= placesMax) {
        leastRecentlyIdle()?.retire();
        if (Date.now() >= deadline) throw noChannel('no connection came free');
        await nextFree(Math.min(deadline - Date.now(), lookAgainMs));
      }
      taken += 1;
    },
    free() {
      taken -= 1;
      for (const wake of [...waiting]) wake();
    },
  };
}
