/** Counts what a scheduler is asked, by the adapter's own words for it: `submit`, `get`, `lookUp` … */
import { type Meter, silentMeter } from '../../shared/platform/metrics/meter.ts';
import type { SchedulerAdapter } from './scheduler.ts';

type Method = (...args: unknown[]) => unknown;

/** The same adapter, whose methods count; the adapter itself where nobody counts. */
export function countQueries(adapter: SchedulerAdapter, system: string, meter: Meter): SchedulerAdapter {
  if (meter === silentMeter) return adapter;
  const counted = Object.entries(adapter as unknown as Record<string, Method>).map(([query, ask]): [string, Method] => [
    query,
    (...args) => {
      meter.count('goldcrest_scheduler_queries_total', { system, query });
      return ask(...args);
    },
  ]);
  return Object.fromEntries(counted) as unknown as SchedulerAdapter;
}
