/** Bounds how many pieces of work run at once; the others wait their turn in order. */

/** Runs work when fewer than `max` others run. */
export type ConcurrencyGate = <T>(work: () => Promise<T>) => Promise<T>;

export function createGate(max: number): ConcurrencyGate {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      // The place is handed over, so `running` does not change while somebody waits.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
