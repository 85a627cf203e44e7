/** Slurm's state words (squeue(1), sacct(1)) as the bare base words that clients compare with. */

/** What is shown for a flag that a command prints in place of the base state. */
const baseStates: Readonly<Record<string, string>> = {
  CONFIGURING: 'PENDING',
  POWER_UP_NODE: 'PENDING',
  REQUEUED: 'PENDING',
  REQUEUE_FED: 'PENDING',
  REQUEUE_HOLD: 'PENDING',
  RESV_DEL_HOLD: 'PENDING',
  SPECIAL_EXIT: 'PENDING',
  COMPLETING: 'RUNNING',
  EXPEDITING: 'RUNNING',
  RESIZING: 'RUNNING',
  SIGNALING: 'RUNNING',
  STAGE_OUT: 'RUNNING',
  UPDATE_DB: 'RUNNING',
  STOPPED: 'SUSPENDED',
  LAUNCH_FAILED: 'FAILED',
  RECONFIG_FAIL: 'NODE_FAIL',
  REVOKED: 'CANCELLED',
};

const activeStates: ReadonlySet<string> = new Set(['PENDING', 'RUNNING', 'SUSPENDED']);

/** The base word of `CANCELLED by 1000`, `CANCELLED+`, `CONFIGURING` …; a word this version does not know stays. */
export function baseState(text: string): string {
  const [word = ''] = text.trim().split(/[\s+]/);
  return baseStates[word] ?? word;
}

/** The uid in `CANCELLED by 1000`, or null. */
export function cancelledBy(text: string): string | null {
  return /^CANCELLED by (\d+)$/.exec(text.trim())?.[1] ?? null;
}

/** Whether a job in this base state has not ended. */
export function isActive(state: string): boolean {
  return activeStates.has(state);
}
