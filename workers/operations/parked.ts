/** What a handler returns when there is nothing to do for a while: the task is laid by, and no worker waits. */
import type { ParkOptions } from '../../shared/platform/task-parking.ts';
import type { Progress } from '../../shared/tasks/task.ts';

/** How the worker that laid a task by looks at its work meanwhile, past the queue. */
export interface Glance {
  /** Time until the next one. */
  waitMs: () => number;
  /** How far the work is; null: a look through the queue is due, since it has ended or nobody can tell. */
  look: () => Promise<Progress | null>;
}

/**
 * `place`: `aside` while it waits for somebody outside, which takes no place of its owner's in the queue; `turn` when it
 * wants one; `kept` while its work goes on elsewhere. A look later is the same attempt. With a `glance` the next look may
 * be later, after `waitMs`; a worker that has no room for glances looks through the queue as often.
 */
export class Parked {
  readonly options: Omit<ParkOptions, 'notBeforeAt' | 'isGlancedAt'> & { waitMs: number; glance?: Glance };

  constructor(options: Parked['options']) {
    this.options = options;
  }
}
