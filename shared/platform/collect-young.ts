/** V8's collection of young objects, for processes whose garbage is buffers of bytes that passed: it frees them all, and is short. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A function that collects the young objects of this process, in up to a millisecond. */
export function openYoungCollection(): () => void {
  // V8 gives its collector to contexts that are made while the flag is set.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  setFlagsFromString('--no-expose-gc');
  return () => collect({ type: 'minor' });
}
