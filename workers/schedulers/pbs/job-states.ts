/**
 * PBS's state letters (qstat(1B)) as the base words that the other adapters answer with, and what an exit status means
 * (PBS User's Guide, "Job Exit Status Codes").
 */

/** `job_state` of a job that has not ended. */
const activeStates: Readonly<Record<string, string>> = {
  Q: 'PENDING',
  H: 'PENDING',
  W: 'PENDING',
  T: 'PENDING',
  R: 'RUNNING',
  B: 'RUNNING', // an array of which a subjob has begun
  E: 'RUNNING', // its processes are gone, its files are on their way
  S: 'SUSPENDED',
  U: 'SUSPENDED', // somebody works at the workstation
};

/** `substate` of a job that was deleted, whatever its exit status is. */
const deletedSubstate = 91;

/** Negative statuses: PBS ended the job itself. */
const ownEnds: Readonly<Record<number, string>> = {
  [-26]: 'OUT_OF_MEMORY',
  [-27]: 'OUT_OF_MEMORY',
  [-28]: 'TIMEOUT',
  [-29]: 'TIMEOUT',
};

/** What a shell adds to the signal that ended its child, and what PBS adds where it was the job's shell itself. */
const shellBase = 128;
const pbsBase = 256;
const signalMax = 64;

const killSignals: ReadonlySet<number> = new Set([9, 15, 24]);

export interface PbsState {
  /** `job_state`. */
  letter: string;
  substate: number | null;
  exitStatus: number | null;
  usedSeconds: number | null;
  limitSeconds: number | null;
}

/** The base word; UNKNOWN for a job that was moved to another server, and for a letter this version does not know. */
export function baseState({ letter, substate, exitStatus, usedSeconds, limitSeconds }: PbsState): string {
  if (letter !== 'F' && letter !== 'X') return activeStates[letter] ?? 'UNKNOWN';
  // One that never ran has no exit status: it was deleted while it waited.
  if (substate === deletedSubstate || exitStatus === null) return 'CANCELLED';
  if (exitStatus === 0) return 'COMPLETED';
  const own = ownEnds[exitStatus];
  if (own !== undefined) return own;
  // Older versions tell a job that ran out of time by the signal alone.
  const isOver = usedSeconds !== null && limitSeconds !== null && usedSeconds >= limitSeconds;
  return isOver && killSignals.has(signalOf(exitStatus)) ? 'TIMEOUT' : 'FAILED';
}

/** As PBS shows it, 271 for a job that SIGTERM ended, with the signal beside it. */
export function exitStatusOf(exitStatus: number | null): { exitCode: number | null; interruptSignal: number | null } {
  if (exitStatus === null) return { exitCode: null, interruptSignal: null };
  return { exitCode: exitStatus, interruptSignal: signalOf(exitStatus) };
}

/** 0 for none. */
function signalOf(exitStatus: number): number {
  const base = [pbsBase, shellBase].find((offset) => exitStatus > offset && exitStatus <= offset + signalMax);
  return base === undefined ? 0 : exitStatus - base;
}

/** Whether a job in this base state has not ended. */
export function isActive(state: string): boolean {
  return Object.values(activeStates).includes(state);
}
