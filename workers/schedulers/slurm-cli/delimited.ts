/**
 * Rows of fields out of Slurm's commands where a field may hold anything: job names hold `|`, spaces and newlines. The
 * delimiter is random for each query, so no name can contain it, and every field ends with it, so newlines between
 * rows need no meaning.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { unreadable } from './slurm-command.ts';

/** A fresh delimiter, plain for every shell and for squeue's `--Format`, which reads `,` and `:`. */
export function newDelimiter(): string {
  return `+@${randomBytes(6).toString('hex')}@+`;
}

/** One row by the names of its fields. */
export type Row<Field extends string> = Record<Field, string>;

/**
 * Rows of `fields.length` fields, each field ended by the delimiter and each row by a newline, one at a time.
 * SchedulerFailed when the output ends within a row.
 */
export function* readRows<Field extends string>(
  output: string,
  fields: readonly Field[],
  delimiter: string,
): Generator<Row<Field>> {
  let at = 0;
  while (output.indexOf(delimiter, at) !== -1) {
    // The newline that ended the row before.
    if (output[at] === '\n') at += 1;
    const row: Partial<Row<Field>> = {};
    for (const field of fields) {
      const end = output.indexOf(delimiter, at);
      if (end === -1) throw unreadable(output);
      row[field] = output.slice(at, end);
      at = end + delimiter.length;
    }
    yield row as Row<Field>;
  }
  if (output.slice(at).trim() !== '') throw unreadable(output);
}

/** All rows at once, for the answers about one job. */
export function parseRows<Field extends string>(
  output: string,
  fields: readonly Field[],
  delimiter: string,
): Row<Field>[] {
  return [...readRows(output, fields, delimiter)];
}

/** How long rows are read before others have their turn. */
const sliceMs = 10;

/** Reads rows with pauses, so that a list of 10,000 jobs does not hold up everything else for half a second. */
export async function eachRow<Field extends string>(
  rows: Generator<Row<Field>>,
  take: (row: Row<Field>) => void,
): Promise<void> {
  let since = performance.now();
  for (const row of rows) {
    take(row);
    if (performance.now() - since < sliceMs) continue;
    await setImmediate();
    since = performance.now();
  }
}
