/** The bench's results as text and as the tables of docs/performance.md. */
import type { Measurement } from './measure.ts';

/** Processor time of one request in microseconds, by process. */
export interface CpuPerRequest {
  api: number;
  worker: number;
  redis: number;
}

export interface Row {
  what: string;
  callers: number;
  /** The middle one of its rounds. */
  measurement: Measurement;
  rounds?: readonly Measurement[];
  cpu?: CpuPerRequest;
}

function ms(value: number): string {
  return Number.isNaN(value) ? '–' : value < 10 ? value.toFixed(2) : value.toFixed(0);
}

const head = [
  'what',
  'clients',
  'p50 ms',
  'p95 ms',
  'p99 ms',
  'per second',
  'errors',
  'API µs',
  'worker µs',
  'Redis µs',
];

function cells({ what, callers, measurement, cpu }: Row): string[] {
  const { p50, p95, p99, ratePerSecond, errors } = measurement;
  const micro = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(0));
  return [
    what,
    String(callers),
    ms(p50),
    ms(p95),
    ms(p99),
    ratePerSecond.toFixed(0),
    String(errors),
    micro(cpu?.api),
    micro(cpu?.worker),
    micro(cpu?.redis),
  ];
}

/** A Markdown table of all rows; with fewer columns, of the first so many. */
export function markdownTable(rows: readonly Row[], columns = head.length): string {
  const lines = [head, head.map((_, at) => (at === 0 ? '---' : '--:')), ...rows.map(cells)];
  return lines.map((line) => `| ${line.slice(0, columns).join(' | ')} |`).join('\n');
}

/** One line for the terminal. */
export function terminalLine(row: Row): string {
  return cells(row)
    .map((cell, at) => (at === 0 ? cell.padEnd(34) : cell.padStart(9)))
    .join('');
}

export const terminalHead = head.map((cell, at) => (at === 0 ? cell.padEnd(34) : cell.padStart(9))).join('');
