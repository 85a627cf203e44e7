/** Checks lines of audit trails: that each is as it was written, and that of each writer none is missing or out of place. */
import { type ChainKey, createLineReader, genesis } from './chain.ts';

export interface PlacedLine {
  /** For people: where it stands. */
  place: string;
  text: string;
}

/** The last record of a writer, as Redis knows it. */
export interface Head {
  seq: number;
  hash: string;
  /** When it came to Redis, in milliseconds since the epoch. */
  at: number;
}

export interface VerifyOptions {
  key: ChainKey;
  /** By writer: what must at least be there. Null: nothing is known of it. */
  heads: ReadonlyMap<string, Head> | null;
  /** Whether the first records of a chain may be missing: Redis drops the oldest. */
  mayBeginLate: boolean;
}

export interface CheckedChain {
  writer: string;
  first: number;
  last: number;
  /** Ended by its process; otherwise it is still written, its process was killed, or its end was cut off. */
  isClosed: boolean;
}

export interface Verdict {
  records: number;
  chains: CheckedChain[];
  /** One line each; empty: all is well. */
  problems: string[];
}

interface Following extends CheckedChain {
  hash: string;
}

/** Of each writer the lines must come in order; those of several may be mixed. */
export function verifyLines(lines: Iterable<PlacedLine>, options: VerifyOptions): Verdict {
  const read = createLineReader(options.key);
  const chains = new Map<string, Following>();
  const problems: string[] = [];
  let records = 0;
  for (const { place, text } of lines) {
    const line = read(text);
    if ('problem' in line) {
      problems.push(`${place}: ${line.problem}`);
      continue;
    }
    records += 1;
    const { record, hash } = line;
    const before = chains.get(record.writer);
    const problem = fault(record, before, options.mayBeginLate);
    if (problem !== null) problems.push(`${place}: ${record.writer}: ${problem}`);
    chains.set(record.writer, {
      writer: record.writer,
      first: before?.first ?? record.seq,
      last: record.seq,
      isClosed: record.action === 'trail.close',
      hash,
    });
  }
  problems.push(...missingEnds(chains, options.heads));
  return { records, problems, chains: [...chains.values()].map(({ hash: _hash, ...chain }) => chain) };
}

function fault(
  { seq, prev }: { seq: number; prev: string },
  before: Following | undefined,
  mayBeginLate: boolean,
): string | null {
  if (before === undefined) {
    if (seq === 1) return prev === genesis ? null : 'the first record follows another one';
    return mayBeginLate ? null : `the records before ${seq} are missing`;
  }
  if (before.isClosed) return `record ${seq} comes after the end of the chain`;
  if (seq <= before.last) return `record ${seq} is out of place: it comes after ${before.last}`;
  if (seq > before.last + 1) return `${seq - before.last - 1} records are missing after ${before.last}`;
  return prev === before.hash ? null : `record ${seq} does not follow the one before it`;
}

function missingEnds(chains: ReadonlyMap<string, Following>, heads: VerifyOptions['heads']): string[] {
  return [...(heads ?? [])].flatMap(([writer, head]) => {
    const chain = chains.get(writer);
    if (chain === undefined) return [`${writer}: all of its records are missing; Redis knows of ${head.seq}`];
    if (chain.last < head.seq)
      return [`${writer}: the records after ${chain.last} are missing; Redis knows of ${head.seq}`];
    if (chain.last === head.seq && chain.hash !== head.hash)
      return [`${writer}: record ${head.seq} is not the one Redis knows`];
    return [];
  });
}
