/** Job ids as Slurm writes them: `123`, `123_4`, `123_[1-5,7%2]` (array), `123+1` (heterogeneous). */
import { BrokerError } from '../../../shared/errors/broker-error.ts';

export interface SlurmJobId {
  /** The digits before `_` or `+`; what sbatch printed. */
  base: string;
  /** Array indices, or null for the whole job. */
  indices: readonly IndexRange[] | null;
  /** Component of a heterogeneous job, or null for all. */
  component: string | null;
}

interface IndexRange {
  first: number;
  last: number;
}

/** Ids have 32 bits, of which the last two values mean something else. Slurm's commands take a larger one modulo 2^32. */
const idMax = 0xfffffffd;

const pattern = /^([1-9]\d{0,9})(?:_(?:(\d+)|\[([\d,:%-]+)\])|\+(\d+))?$/;

/** Parses an id, or undefined for a text that is none. */
export function parseJobId(text: string): SlurmJobId | undefined {
  const match = pattern.exec(text);
  if (!match?.[1] || Number(match[1]) > idMax) return undefined;
  const list = match[2] ?? match[3];
  return { base: match[1], indices: list === undefined ? null : indexRanges(list), component: match[4] ?? null };
}

/** Parses an id that a client sent; what is no Slurm id is the id of no job: JobNotFound. */
export function requireJobId(text: string): SlurmJobId {
  const id = parseJobId(text);
  if (!id) throw new BrokerError('JobNotFound', 'Job not found.');
  return id;
}

/** Whether `row` is the wanted job or a part of it: `123` takes in `123_4`, `123_[1-5]` takes in `123_4`. */
export function isPartOf(row: SlurmJobId, wanted: SlurmJobId): boolean {
  if (row.base !== wanted.base) return false;
  if (wanted.component !== null && (row.component ?? '0') !== wanted.component) return false;
  if (wanted.indices === null) return true;
  return (row.indices ?? []).some((a) => (wanted.indices ?? []).some((b) => a.first <= b.last && b.first <= a.last));
}

/** `1-5,7%2`: a step (`1-9:2`) is read as its whole range, and the limit after `%` is no index. */
function indexRanges(list: string): IndexRange[] {
  const [ranges = ''] = list.split('%');
  return ranges.split(',').map((range) => {
    const [first = '0', last = first] = range.replace(/:.*$/, '').split('-');
    return { first: Number(first), last: Number(last) };
  });
}
