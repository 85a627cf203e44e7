/** Where a file is written before it takes its name: beside its target, so that the rename stays on one file system. */
import { posix } from 'node:path';

/** Linux's NAME_MAX. */
const nameBytesMax = 255;

/**
 * `.<name>.part-<task>` beside the target, the name cut short (at a whole character) where the file system needs it.
 * `sparedBytes`: what the name is still to have room for.
 */
export function partialPath(target: string, taskId: string, sparedBytes = 0): string {
  const suffix = `.part-${taskId}`;
  const room = nameBytesMax - Buffer.byteLength(suffix) - 1 - sparedBytes;
  return posix.join(posix.dirname(target), `.${cutToBytes(posix.basename(target), room)}${suffix}`);
}

function cutToBytes(text: string, bytesMax: number): string {
  let kept = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept;
}
