/** What the code that does something is handed to count it. Where nobody scrapes, nothing is counted. */
import type { CounterName, HistogramName, LabelsOf, ReadName } from './metric-names.ts';

/** Neither method throws or waits. */
export interface Meter {
  /** `by` is 1 when left out, and never negative. */
  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, seconds: number): void;
}

export const silentMeter: Meter = { count: () => undefined, observe: () => undefined };

/** One value that is read when somebody scrapes. */
export interface Reading {
  name: ReadName;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export function reading<Name extends ReadName>(name: Name, labels: LabelsOf<Name>, value: number): Reading {
  return { name, labels, value };
}

/** Gives what it knows; where it rejects or is late, its metrics are left out of the scrape. */
export type ReadAtScrape = () => readonly Reading[] | Promise<readonly Reading[]>;

/** The label of work on no system. */
export function systemLabel(system: string | null): string {
  return system ?? '';
}

/** The label of a task's operation: a chain is none of its steps. */
export function operationLabel(operation: string, chain: object | null | undefined): string {
  return chain ? 'chain' : operation;
}
