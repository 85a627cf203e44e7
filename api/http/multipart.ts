/**
 * Reads multipart/form-data (RFC 7578) as it comes: parts in order, the bytes of each as a stream, nothing kept but the
 * block at hand. By hand, since what a file may be called, where it ends, and when the whole was there, must be exact.
 */
import { isUtf8 } from 'node:buffer';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { invalidField } from './invalid-request.ts';

/** Longest headers of one part. */
const headBytesMax = 16 * 1024;
/** Most parts of one body, the file among them. */
const partsMax = 100;

/** One part; its `chunks` are read to their end before the next part is asked for. */
export interface Part {
  name: string;
  /** Null: a field, not a file. */
  fileName: string | null;
  chunks: AsyncGenerator<Buffer, void>;
}

/** The boundary of a Content-Type. Throws InvalidRequest. */
export function boundaryOf(contentType: string | undefined): string {
  const [, quoted, plain] =
    /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType ?? '') ?? [];
  const boundary = quoted ?? plain;
  if (boundary !== undefined) return boundary;
  throw invalidField('body', '', 'must be sent as multipart/form-data, with its boundary in Content-Type');
}

/** The parts of a body. Ends behind the closing boundary; throws InvalidRequest when that does not come. */
export async function* readParts(source: AsyncIterable<Buffer>, boundary: string): AsyncGenerator<Part, void> {
  const blocks = source[Symbol.asyncIterator]();
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  // The first boundary may stand at the very beginning: as if a line break came before it.
  let rest: Buffer = Buffer.from('\r\n');

  const more = async (): Promise<void> => {
    const next = await blocks.next();
    if (next.done === true) throw invalidField('body', '', 'ended before its last boundary');
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
  };
  /** Everything up to the next boundary, which is taken away too. */
  async function* upToBoundary(): AsyncGenerator<Buffer, void> {
    for (;;) {
      const at = rest.indexOf(delimiter);
      const sure = at >= 0 ? at : rest.length - unsureBytes(rest, delimiter);
      const chunk = rest.subarray(0, sure);
      rest = rest.subarray(at >= 0 ? at + delimiter.length : sure);
      if (chunk.length > 0) yield chunk;
      if (at >= 0) return;
      await more();
    }
  }
  /** What stands before a mark, which is taken away too. */
  const take = async (mark: string, bytesMax: number): Promise<string> => {
    for (;;) {
      const at = rest.indexOf(mark);
      if ((at < 0 ? rest.length : at) > bytesMax) throw invalidField('body', '', 'has a part with too long headers');
      if (at < 0) {
        await more();
        continue;
      }
      const text = strictText(rest.subarray(0, at));
      rest = rest.subarray(at + mark.length);
      return text;
    }
  };

  for await (const _preamble of upToBoundary());
  for (let parts = 0; ; parts += 1) {
    while (rest.length < 2) await more();
    if (rest.toString('latin1', 0, 2) === '--') break;
    if (parts === partsMax) throw invalidField('body', '', `must have at most ${partsMax} parts`);
    if ((await take('\r\n', headBytesMax)).trim() !== '') throw invalidField('body', '', 'has a boundary that is none');
    // With the line break of the boundary's own line, headers may be none at all.
    rest = Buffer.concat([Buffer.from('\r\n'), rest]);
    const head = await take('\r\n\r\n', headBytesMax);
    const part = { ...describePart(head), chunks: upToBoundary() };
    yield part;
    for await (const _unread of part.chunks);
  }
  // What follows the closing boundary has no meaning (RFC 2046, section 5.1.1).
}

/** Throws InvalidRequest for what is not UTF-8: a file would get another name than it was sent with. */
function strictText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw invalidField('body', '', 'has a part whose headers are not valid UTF-8');
  return bytes.toString();
}

/** Bytes at the end that may be the beginning of a delimiter. As a rule none, so that blocks need not be joined. */
function unsureBytes(block: Buffer, delimiter: Buffer): number {
  const carriageReturn = 0x0d; // only a delimiter's first byte is one
  const from = Math.max(0, block.length - delimiter.length + 1);
  for (let at = block.indexOf(carriageReturn, from); at >= 0; at = block.indexOf(carriageReturn, at + 1)) {
    const tail = block.subarray(at);
    if (tail.equals(delimiter.subarray(0, tail.length))) return tail.length;
  }
  return 0;
}

function describePart(head: string): { name: string; fileName: string | null } {
  const disposition = /(?:^|\r\n)content-disposition:[ \t]*form-data([^\r\n]*)/i.exec(head)?.[1];
  if (disposition === undefined) throw invalidField('body', '', 'has a part without Content-Disposition: form-data');
  const name = parameterOf(disposition, 'name');
  return { name: name ?? '', fileName: extendedOf(disposition) ?? parameterOf(disposition, 'filename') };
}

/**
 * A quoted value as browsers, curl and HTTP libraries write it: most send a quote as `%22` and a backslash as it is (HTML,
 * "multipart/form-data"), some send `\\"` and a doubled backslash. So a value ends at a quote that ends the parameter.
 */
function parameterOf(disposition: string, name: string): string | null {
  const found = new RegExp(`;[ \\t]*${name}=(?:"(.*?)"(?=[ \\t]*(?:;|$))|([^\\s;"]*))`, 'i').exec(disposition);
  if (found === null) return null;
  const value = found[1]?.replaceAll(/\\(["\\])/g, '$1') ?? found[2] ?? '';
  return value.replaceAll(/%(22|0D|0A)/gi, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** `filename*=UTF-8''…` (RFC 8187), which some send for names beyond ASCII; it is exact where it is there. */
function extendedOf(disposition: string): string | null {
  const value = /;[ \t]*filename\*=UTF-8''([^\s;]*)/i.exec(disposition)?.[1];
  if (value === undefined) return null;
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw new BrokerError('InvalidRequest', 'Invalid request: the name of the file is not valid UTF-8.', { cause });
  }
}
