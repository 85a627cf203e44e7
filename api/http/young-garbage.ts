/**
 * Buffers of bodies that pass are garbage as soon as they are written. V8 counts their bytes as if they were objects that have lived
 * long, and begins a collection of the whole heap for each 8 to 16 MiB of them, where one of the young objects frees them all.
 */
import { openYoungCollection } from '../../shared/platform/collect-young.ts';

/** Before V8 would begin: it lets a heap of 28 MiB grow by 40 % (api/main.ts). */
const collectAfterBytes = 8 * 1024 * 1024;

/** To be told of the bytes that passed. Collects young objects when the event loop has its turn, for each 8 MiB. */
export function createYoungCollector(): (bytes: number) => void {
  const collect = openYoungCollection();
  let passedBytes = 0;
  return (bytes) => {
    if (passedBytes < collectAfterBytes && passedBytes + bytes >= collectAfterBytes) {
      setImmediate(() => {
        passedBytes = 0;
        collect();
      });
    }
    passedBytes += bytes;
  };
}
