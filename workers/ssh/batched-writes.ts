/** Joins what is written within one turn into one write: a packet, an encryption and a system call for many requests. */
import type { Writable } from 'node:stream';

/** What is as large goes out as it is: to copy it costs more than a packet. */
const largeBytes = 16 * 1024;

/** What is called when bytes that were written may be changed; of a stream that ends before, perhaps never. */
export type OnTaken = () => void;

interface Waiting {
  bytes: Buffer;
  onTaken: OnTaken | undefined;
}

/** The answer writes to `stream` before the event loop goes on. */
export function batchedWrites(stream: Writable): (bytes: Buffer, onTaken?: OnTaken) => void {
  let waiting: Waiting[] = [];
  const writeOne = ({ bytes, onTaken }: Waiting): void => {
    if (onTaken) stream.write(bytes, (error) => void (error ? undefined : onTaken()));
    else stream.write(bytes);
  };
  const flush = () => {
    const all = waiting;
    waiting = [];
    let small: Waiting[] = [];
    const writeSmall = (): void => {
      const [first, ...others] = small;
      if (first && others.length === 0) writeOne(first);
      else if (first) stream.write(Buffer.concat(small.map(({ bytes }) => bytes)));
      if (others.length > 0) for (const { onTaken } of small) onTaken?.();
      small = [];
    };
    for (const each of all) {
      if (each.bytes.length < largeBytes) {
        small.push(each);
        continue;
      }
      writeSmall();
      writeOne(each);
    }
    writeSmall();
  };
  return (bytes, onTaken) => {
    // The tick queue runs after all promises that the present answers have settled.
    if (waiting.length === 0) process.nextTick(flush);
    waiting.push({ bytes, onTaken });
  };
}
