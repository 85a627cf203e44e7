/**
 * Frees the buffers of bytes that passed through. Each is dead as soon as it has gone on, but V8 looks for dead ones by itself only
 * when 32 MiB of buffers have come together, whatever the size of its young generation (`Heap::AllocateExternalBackingStore` in its
 * heap.cc), and takes their bytes for growth of what lives long, for which it goes through the whole heap.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Twice as much is made of buffers meanwhile: one comes from a socket, another goes to one. */
const passedBytesMax = 6 * 2 ** 20;

// A process has one heap, whoever's bytes pass.
let passedBytes = 0;
let collect: ((options: { type: 'minor' }) => void) | undefined;

/** To be told of all bytes that pass. Every 6 MiB it takes up to a millisecond, for what is young only, when the event loop has its turn. */
export function freePassed(bytes: number): void {
  const wasDue = passedBytes >= passedBytesMax;
  passedBytes += bytes;
  if (wasDue || passedBytes < passedBytesMax) return;
  setImmediate(() => {
    passedBytes = 0;
    collect ??= openCollector();
    collect({ type: 'minor' });
  });
}

/** V8 gives its collector to contexts that are made while the flag is set. */
function openCollector(): (options: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc');
  const collector = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  setFlagsFromString('--no-expose-gc');
  return collector;
}
