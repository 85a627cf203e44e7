/** The states in which a job is over for good, as base words; see `JOB STATE CODES` in squeue(1). */

const endStates: ReadonlySet<string> = new Set([
  'BOOT_FAIL',
  'CANCELLED',
  'COMPLETED',
  'DEADLINE',
  'FAILED',
  'NODE_FAIL',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'TIMEOUT',
]);

/** Whether a job in that state does nothing any more. A state that is not known is none. */
export function isJobEnd(state: string): boolean {
  return endStates.has(state);
}
