/** What a handler returns when there is nothing to do for a while: the task is laid by, and no worker waits. */
import type { ParkOptions } from '../../shared/platform/task-parking.ts';

/**
 * `place`: `aside` while it waits for somebody outside, which takes no place of its owner's in the queue; `turn` when it
 * wants one; `kept` while its work goes on elsewhere. A look later is the same attempt.
 */
export class Parked {
  readonly options: Omit<ParkOptions, 'notBeforeAt'> & { waitMs: number };

  constructor(options: Omit<ParkOptions, 'notBeforeAt'> & { waitMs: number }) {
    this.options = options;
  }
}
