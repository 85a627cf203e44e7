/** Joins what is written within one turn into one write: a packet, an encryption and a system call for many requests. */
import type { Writable } from 'node:stream';

/** The answer writes to `stream` before the event loop goes on. */
export function batchedWrites(stream: Writable): (bytes: Buffer) => void {
  let waiting: Buffer[] = [];
  const flush = () => {
    const [first, ...others] = waiting;
    waiting = [];
    if (first) stream.write(others.length === 0 ? first : Buffer.concat([first, ...others]));
  };
  return (bytes) => {
    // The tick queue runs after all promises that the present answers have settled.
    if (waiting.length === 0) process.nextTick(flush);
    waiting.push(bytes);
  };
}
