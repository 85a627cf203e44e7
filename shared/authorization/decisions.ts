/** Remembers answers for a short time, and asks once where several want the same at once. */

interface Decision<T> {
  answer: Promise<T>;
  /** Milliseconds since the epoch. */
  untilMs: number;
}

export interface Decisions<T> {
  /** The remembered answer, else that of `ask`. A rejection reaches all who wait for it and is not remembered. */
  decide(key: string, ask: () => Promise<T>): Promise<T>;
  readonly size: number;
}

/**
 * Holds at most `entriesMax`; the one not used for longest goes first. An answer is remembered for `lifeMsOf` it, counted
 * from when it was asked for: what changes while it is on its way is known as soon as what changes after it.
 */
export function createDecisions<T>(options: {
  entriesMax: number;
  lifeMsOf: (answer: T) => number;
  now: () => number;
}): Decisions<T> {
  const { entriesMax, lifeMsOf, now } = options;
  const entries = new Map<string, Decision<T>>();

  const begin = (key: string, ask: () => Promise<T>): Promise<T> => {
    const askedAt = now();
    const decision: Decision<T> = { answer: ask(), untilMs: Number.POSITIVE_INFINITY };
    entries.set(key, decision);
    const forget = () => {
      if (entries.get(key) === decision) entries.delete(key);
    };
    decision.answer.then((answer) => {
      decision.untilMs = askedAt + lifeMsOf(answer);
    }, forget);
    if (entries.size > entriesMax) {
      const oldest = entries.keys().next();
      if (oldest.done !== true) entries.delete(oldest.value);
    }
    return decision.answer;
  };

  return {
    decide(key, ask) {
      const known = entries.get(key);
      entries.delete(key);
      if (known === undefined || now() >= known.untilMs) return begin(key, ask);
      entries.set(key, known);
      return known.answer;
    },
    get size() {
      return entries.size;
    },
  };
}
