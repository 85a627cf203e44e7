/** A file as text: bytes by offset, windows without split characters, and the offsets at which lines begin. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { OpenFile } from '../../ssh/open-file.ts';
import { cutContextBytes, wholeCharacterCut } from './utf8-cut.ts';

/** Largest text of one answer, whatever a system allows for files: it is a JSON text in the end. */
export const textBytesMax = 16 * 1024 * 1024;

/** First block of a search for lines, which is all that most files have; those that follow are larger. */
const firstBlockBytes = 32 * 1024;
const blockBytesMax = 1024 * 1024;

const newline = 0x0a;

/** A file whose size is known. */
export interface TextSource {
  readonly sizeBytes: number;
  /** Up to `lengthBytes` from `offsetBytes`; shorter at the end only. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
}

/** A file that says it is empty, as those in /proc do, is read to its end first. Throws OutputTooLarge. */
export async function openText(file: OpenFile, bytesMax: number): Promise<TextSource> {
  if (file.sizeBytes > 0) return remembering(file);
  const data = await file.read(0, bytesMax + 1);
  if (data.length > bytesMax) throw tooMuch(bytesMax);
  return wholeText(data);
}

/** Of bytes that are all here. */
export function wholeText(data: Buffer): TextSource {
  return {
    sizeBytes: data.length,
    read: async (offsetBytes, lengthBytes) => data.subarray(offsetBytes, offsetBytes + lengthBytes),
  };
}

/** Keeps the last block: where lines are looked for is where the text is taken from. */
function remembering(file: OpenFile): TextSource {
  let block: { offsetBytes: number; data: Buffer } = { offsetBytes: 0, data: Buffer.alloc(0) };
  return {
    sizeBytes: file.sizeBytes,
    async read(offsetBytes, lengthBytes) {
      const at = offsetBytes - block.offsetBytes;
      if (at >= 0 && at + lengthBytes <= block.data.length) return block.data.subarray(at, at + lengthBytes);
      block = { offsetBytes, data: await file.read(offsetBytes, lengthBytes) };
      return block.data;
    },
  };
}

/** The text from `start` to `end`, each moved behind a character that it would split. Throws OutputTooLarge. */
export async function readText(source: TextSource, start: number, end: number, bytesMax: number): Promise<string> {
  const last = Math.min(end, source.sizeBytes);
  if (start >= last) return '';
  if (last - start > bytesMax) throw tooMuch(bytesMax);
  const from = Math.max(0, start - cutContextBytes);
  const data = await source.read(from, Math.min(last + cutContextBytes, source.sizeBytes) - from);
  return data.toString('utf8', wholeCharacterCut(data, start - from), wholeCharacterCut(data, last - from));
}

/** Offset behind the first `count` lines. Looks no further than `bytesMax`: throws OutputTooLarge there. */
export async function endOfLines(
  source: TextSource,
  count: number,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<number> {
  let left = count;
  let at = 0;
  for (let blockBytes = firstBlockBytes; at < source.sizeBytes && left > 0; blockBytes = larger(blockBytes)) {
    if (at > bytesMax) throw tooMuch(bytesMax);
    const block = await source.read(at, Math.min(blockBytes, source.sizeBytes - at));
    if (block.length === 0) return at; // cut short while we read
    for (let found = block.indexOf(newline); found >= 0; found = block.indexOf(newline, found + 1)) {
      left -= 1;
      if (left === 0) return at + found + 1;
    }
    at += block.length;
  }
  return left > 0 ? source.sizeBytes : at;
}

/** Offset of the last `count` lines; a last line need not end with a line break. Looks back no further than `bytesMax`. */
export async function startOfLastLines(
  source: TextSource,
  count: number,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<number> {
  let left = count;
  let end = source.sizeBytes;
  for (let blockBytes = firstBlockBytes; end > 0 && left > 0; blockBytes = larger(blockBytes)) {
    if (source.sizeBytes - end > bytesMax) throw tooMuch(bytesMax);
    const from = Math.max(0, end - blockBytes);
    const block = await source.read(from, end - from);
    // The line break that ends the last line begins no other one.
    const searched = end === source.sizeBytes ? block.length - 2 : block.length - 1;
    for (let found = lastNewline(block, searched); found >= 0; found = lastNewline(block, found - 1)) {
      left -= 1;
      if (left === 0) return from + found + 1;
    }
    end = from;
  }
  return left > 0 ? 0 : end;
}

function lastNewline(block: Buffer, upTo: number): number {
  return upTo < 0 ? -1 : block.lastIndexOf(newline, upTo);
}

function larger(blockBytes: number): number {
  return Math.min(4 * blockBytes, blockBytesMax);
}

function tooMuch(bytesMax: number): BrokerError {
  return new BrokerError(
    'OutputTooLarge',
    `Command output exceeded buffer limit. At most ${bytesMax} bytes of a file are answered at a time.`,
  );
}
