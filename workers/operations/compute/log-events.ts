/**
 * Bytes of a log as server-sent events, exactly. An event holds `text` where its bytes are UTF-8, else `base64`. A
 * character that is cut by the end of what was read is held back until its rest has come, or nothing comes any more.
 */
import { isUtf8 } from 'node:buffer';

export interface LogEncoder {
  /** The events of the next bytes; what they leave behind of a character waits. */
  take(bytes: Buffer): string;
  /** What waits, as it is. */
  flush(): string;
  /** Says that the file begins anew, and goes on from its beginning; what waits is gone with the file it was in. */
  restart(): string;
  /** Behind the last byte that was told. */
  offset(): number;
}

export function createLogEncoder(from: number): LogEncoder {
  let told = from;
  let waiting: Buffer = Buffer.alloc(0);
  const tell = (bytes: Buffer): string => {
    if (bytes.length === 0) return '';
    const begin = told;
    told += bytes.length;
    const content = isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') };
    return `id: ${told}\nevent: log\ndata: ${JSON.stringify({ offset: begin, ...content })}\n\n`;
  };
  return {
    take(bytes) {
      const all = Buffer.concat([waiting, bytes]);
      const cut = all.length - unfinishedBytes(all);
      waiting = all.subarray(cut);
      return tell(all.subarray(0, cut));
    },
    flush() {
      const rest = waiting;
      waiting = Buffer.alloc(0);
      return tell(rest);
    },
    restart() {
      const data = { offset: 0, before: told };
      waiting = Buffer.alloc(0);
      told = 0;
      return `id: 0\nevent: restart\ndata: ${JSON.stringify(data)}\n\n`;
    },
    offset: () => told,
  };
}

/** Bytes at the end that begin a character and lack its rest (RFC 3629, section 3). */
function unfinishedBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return byte < 0xf5 && length > back ? back : 0;
  }
  return 0;
}
