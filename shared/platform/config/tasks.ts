/** How long tasks are kept, and how many there may be. */

export interface TasksConfig {
  /** How long a finished task is kept. */
  keepMs: number;
  /** How long the record of a read is kept whose result the held request took with it. */
  heldReadKeepMs: number;
  /** Largest result kept in a task record. */
  resultBytesMax: number;
  /** Largest result that goes from worker to API directly. */
  heldResultBytesMax: number;
  /** How long a worker keeps a result that is too large for the record and that nobody waited for. */
  largeResultKeepMs: number;
  /** Tasks of one user that may be pending or active; beyond it `UserQueueFull`. */
  openPerUserMax: number;
  /** Tasks of one (lane, system) queue that may be pending or active; beyond it `QueueFull`. */
  openPerQueueMax: number;
  /** Tasks of one system, in all of its queues, that may be pending or active; beyond it `QueueFull`. */
  openPerSystemMax: number;
  /** How fast one user may submit: tasks a second, and at once after a rest; null: no limit. Beyond it `RateLimited`. */
  ratePerUser: { perSecond: number; burst: number } | null;
  /** Entries of one user that stand in one BullMQ queue at once. */
  admittedPerUserMax: number;
  /** Of them in a queue of transfers. */
  movesPerUserMax: number;
  /** Steps of one chain. */
  chainStepsMax: number;
  /** Runs of one task, the first included. */
  attemptsMax: number;
}
