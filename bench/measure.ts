/** Closed-loop measurement: so many callers, each doing one thing after another, bounded in count and in time. */

/** Latencies in milliseconds, rate in operations per second. */
export interface Measurement {
  count: number;
  errors: number;
  p50: number;
  p95: number;
  p99: number;
  ratePerSecond: number;
  /** Text of the first error, for the reader. */
  firstError: string | null;
}

export interface Load {
  callers: number;
  countMax: number;
  durationMsMax: number;
}

/** Runs `operation` in closed loops. It is handed the number of its caller, from 0. */
export async function measure(load: Load, operation: (caller: number) => Promise<void>): Promise<Measurement> {
  const latencies: number[] = [];
  let started = 0;
  let errors = 0;
  let firstError: string | null = null;
  const begin = performance.now();
  const loop = async (caller: number): Promise<void> => {
    while (started < load.countMax && performance.now() - begin < load.durationMsMax) {
      started += 1;
      const at = performance.now();
      try {
        await operation(caller);
        latencies.push(performance.now() - at);
      } catch (error) {
        errors += 1;
        firstError ??= String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: load.callers }, (_, caller) => loop(caller)));
  return { ...measurementOf(latencies, performance.now() - begin), errors, firstError };
}

/** Of latencies in milliseconds that were taken within a time, without an error. */
export function measurementOf(latencies: readonly number[], tookMs: number): Measurement {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return {
    ...{ count: sorted.length, errors: 0, p50: at(0.5), p95: at(0.95), p99: at(0.99) },
    ratePerSecond: sorted.length / (tookMs / 1_000),
    firstError: null,
  };
}

/** The measurement whose p50 is the middle one of several rounds; errors of all rounds are added up. */
export function middleOf(rounds: readonly Measurement[]): Measurement {
  const sorted = [...rounds].sort((a, b) => a.p50 - b.p50);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (!middle) throw new Error('no rounds');
  return {
    ...middle,
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
    firstError: rounds.find((round) => round.firstError !== null)?.firstError ?? null,
  };
}
