/** The heap of a worker through which bytes pass. */
import { setFlagsFromString } from 'node:v8';

/**
 * Of what is alive after a collection of the whole heap, in percent. V8 takes buffers that are on their way for growth of what lives
 * long: with the measure that suits other work (workers/main.ts) it goes through the whole heap several times a second meanwhile.
 */
const growingPercent = 50;

let isOpen = false;

/** To be called before bytes pass; from the next collection of the whole heap on it has room for what is on its way. */
export function openRelayHeap(): void {
  if (isOpen) return;
  isOpen = true;
  setFlagsFromString(`--heap-growing-percent=${growingPercent}`);
}
