/**
 * Frees the buffers of bytes that passed through. Each is dead as soon as it has gone on, but V8 looks for dead ones only when
 * 32 MiB of buffers have come together, whatever the size of its young generation (`Heap::AllocateExternalBackingStore` in
 * its heap.cc), and the worker is as much larger.
 */
import { openYoungCollection } from '../../shared/platform/collect-young.ts';

/** Twice as much is made of buffers meanwhile: one comes from a socket, another goes to one. */
const passedBytesMax = 6 * 2 ** 20;

// A process has one heap, whoever's bytes pass.
let passedBytes = 0;
let collect: (() => void) | undefined;

/** To be told of all bytes that pass. Every 6 MiB it takes up to a millisecond, for what is young only. */
export function freePassed(bytes: number): void {
  passedBytes += bytes;
  if (passedBytes < passedBytesMax) return;
  passedBytes = 0;
  collect ??= openYoungCollection();
  collect();
}
