/**
 * Reads one array of a JSON document piece by piece as it arrives: ten thousand jobs are 50 MB, which are neither kept
 * nor parsed in one go, so that nothing else has to wait.
 */

/** Most bytes of one element. */
const elementBytesMax = 8 * 1024 * 1024;
/** Most bytes of what stands around the array. */
const frameBytesMax = 1024 * 1024;

const quote = 0x22;
const backslash = 0x5c;
const openers: ReadonlySet<number> = new Set([0x7b, 0x5b]);
const closers: ReadonlySet<number> = new Set([0x7d, 0x5d]);

export interface ElementReader {
  /** Throws RangeError past a bound and SyntaxError for what is no JSON. */
  write(chunk: Buffer): void;
  /** The document with an empty array in the place of the one that was read. */
  end(): unknown;
}

/** Hands each element of the array `member` of the outermost object, all of which are objects, to `take`. */
export function createElementReader(member: string, take: (element: unknown) => void): ElementReader {
  const frame = createBytes(frameBytesMax);
  const element = createBytes(elementBytesMax);
  let depth = 0;
  let isInString = false;
  let isEscaped = false;
  /** The last text directly in the outermost object, which before `[` is the name of a member. */
  let name = '';
  let isInArray = false;

  /** Depth of the elements' own braces. */
  const elementDepth = 3;

  function write(chunk: Buffer): void {
    /** First byte of the chunk that is not in `frame` or `element` yet. */
    let from = 0;
    let stringFrom = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] as number;
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === backslash) isEscaped = true;
        else if (byte === quote) {
          isInString = false;
          if (depth === 1) name += chunk.toString('latin1', stringFrom, at);
        }
      } else if (byte === quote) {
        isInString = true;
        stringFrom = at + 1;
        if (depth === 1) name = '';
      } else if (openers.has(byte)) {
        depth += 1;
        if (depth === 2 && !isInArray && byte === 0x5b && name === member) {
          isInArray = true;
          frame.add(chunk.subarray(from, at + 1));
        } else if (isInArray && depth === elementDepth) from = at;
      } else if (closers.has(byte)) {
        if (isInArray && depth === elementDepth) {
          element.add(chunk.subarray(from, at + 1));
          take(JSON.parse(element.take()));
        } else if (isInArray && depth === 2) {
          isInArray = false;
          from = at;
        }
        depth -= 1;
      }
    }
    if (isInString && depth === 1) name += chunk.toString('latin1', stringFrom);
    // Between two elements there is nothing to keep.
    if (!isInArray) frame.add(chunk.subarray(from));
    else if (depth >= elementDepth) element.add(chunk.subarray(from));
  }

  return { write, end: () => JSON.parse(frame.take()) };
}

function createBytes(bytesMax: number) {
  let parts: Buffer[] = [];
  let bytes = 0;
  return {
    add(part: Buffer): void {
      bytes += part.length;
      if (bytes > bytesMax) throw new RangeError(`more than ${bytesMax} bytes`);
      parts.push(part);
    },
    take(): string {
      const text = Buffer.concat(parts).toString();
      parts = [];
      bytes = 0;
      return text;
    },
  };
}
