/** Job ids of PBS: `123.server`, the array `123[].server`, its subjob `123[4].server`; the server may be left out. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';

export interface PbsJobId {
  /** The digits, which grow with each submission. */
  sequence: number;
  /** Index of a subjob; `array` for the whole array, null for a job that is none. */
  index: number | 'array' | null;
  /** As it was given, without the dot. */
  server: string | null;
}

const form = /^(\d{1,12})(?:\[(\d{0,9})\])?(?:\.([A-Za-z0-9][A-Za-z0-9.-]*))?$/;

export function parsePbsJobId(text: string): PbsJobId | undefined {
  const [, sequence, index, server] = form.exec(text) ?? [];
  if (sequence === undefined) return undefined;
  return {
    sequence: Number(sequence),
    index: index === undefined ? null : index === '' ? 'array' : Number(index),
    server: server ?? null,
  };
}

/** The text itself where it is an id; JobNotFound, as PBS has no job of another form. */
export function requirePbsJobId(text: string): string {
  if (!parsePbsJobId(text)) throw new BrokerError('JobNotFound', 'Job not found.');
  return text;
}

/** The id without the name of its server where that is the one that answered, as clients know it: digits, `123[4]`. */
export function shortJobId(text: string, server: string | null): string {
  const id = parsePbsJobId(text);
  if (!id?.server || (server !== null && firstLabel(id.server) !== firstLabel(server))) return text;
  return text.slice(0, text.indexOf('.'));
}

function firstLabel(host: string): string {
  return host.split('.')[0] ?? host;
}
