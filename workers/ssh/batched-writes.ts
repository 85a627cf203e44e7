/** Joins what is written within one turn into one write: a packet, an encryption and a system call for many requests. */
import type { Writable } from 'node:stream';

/** What is as large goes out as it is: to copy it costs more than a packet. */
const largeBytes = 16 * 1024;

/** The answer writes to `stream` before the event loop goes on. */
export function batchedWrites(stream: Writable): (bytes: Buffer) => void {
  let waiting: Buffer[] = [];
  const flush = () => {
    const all = waiting;
    waiting = [];
    let small: Buffer[] = [];
    const writeSmall = (): void => {
      const [first, ...others] = small;
      small = [];
      if (first) stream.write(others.length === 0 ? first : Buffer.concat([first, ...others]));
    };
    for (const bytes of all) {
      if (bytes.length < largeBytes) {
        small.push(bytes);
        continue;
      }
      writeSmall();
      stream.write(bytes);
    }
    writeSmall();
  };
  return (bytes) => {
    // The tick queue runs after all promises that the present answers have settled.
    if (waiting.length === 0) process.nextTick(flush);
    waiting.push(bytes);
  };
}
