/**
 * Rows of fields out of Slurm's commands where a field may hold anything: job names hold `|`, spaces and newlines. The
 * delimiter is random for each query, so no name can contain it, and every field ends with it, so newlines between
 * rows need no meaning.
 */
import { randomBytes } from 'node:crypto';
import { BrokerError } from '../../../shared/errors/broker-error.ts';

/** A fresh delimiter, plain for every shell and for squeue's `--Format`, which reads `,` and `:`. */
export function newDelimiter(): string {
  return `+@${randomBytes(6).toString('hex')}@+`;
}

/** One row by the names of its fields. */
export type Row<Field extends string> = Record<Field, string>;

/**
 * Rows of `fields.length` fields, each field ended by the delimiter and each row by a newline. SchedulerFailed when
 * the output ends within a row.
 */
export function parseRows<Field extends string>(
  output: string,
  fields: readonly Field[],
  delimiter: string,
): Row<Field>[] {
  const pieces = output.split(delimiter);
  const rest = pieces.pop();
  if (pieces.length % fields.length !== 0 || rest?.trim() !== '') {
    throw new BrokerError('SchedulerFailed', 'The output of the scheduler could not be read.', { detail: { output } });
  }
  const rows: Row<Field>[] = [];
  for (let at = 0; at < pieces.length; at += fields.length) {
    const values = fields.map((field, index): [Field, string] => {
      const value = pieces[at + index] ?? '';
      // The newline that ended the row before stands at the head of this one.
      return [field, index === 0 ? value.replace(/^\n/, '') : value];
    });
    rows.push(Object.fromEntries(values) as Row<Field>);
  }
  return rows;
}
