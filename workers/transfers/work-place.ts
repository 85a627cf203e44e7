/**
 * Where on a cluster work goes on by itself. A place keeps no state here: all of it is in the work's directory, so any
 * worker can go on where another one stopped. Each method may be called again after one that failed.
 */
import type { OperationContext } from '../operations/operation-context.ts';
import { batchPlace } from './batch-place.ts';
import {
  glanceAtWork,
  lookAtWork,
  type RemoteWork,
  removeWork,
  startWork,
  stopWork,
  type WorkReport,
  workName,
} from './remote-work.ts';

export interface WorkPlace {
  /** Starts the work, once for each `run` however often it is called; `isAgain`: what an earlier, ended run of it did stays. */
  start(work: RemoteWork, run: number, isAgain: boolean): Promise<WorkReport>;
  /** `seen`: the last sign of life, when that was first seen, and in which run. */
  look(seen: { beat: number; beatAt: number; runs: number }): Promise<WorkReport>;
  /** What costs next to nothing to know; null where that is not enough. */
  glance(seen: { beat: number; beatAt: number }): Promise<WorkReport | null>;
  /** Ends the work where it can from here; what it reports may still be `running` or `elsewhere`. */
  stop(run: number): Promise<WorkReport>;
  /** Removes what was kept of it. Safe to run twice. */
  remove(): Promise<void>;
}

export type PlaceContext = Pick<
  OperationContext,
  'shell' | 'files' | 'journal' | 'task' | 'log' | 'system' | 'scheduler' | 'host' | 'signal' | 'noteRerun'
>;

/** The place that the system's configuration says, for the work of the context's task. `account` is charged for a batch job. */
export function workPlaceOf(context: PlaceContext, account: string | null): WorkPlace {
  return context.system.transfers.mover === 'job' ? batchPlace(context, account) : loginPlace(context);
}

/** On a login node, in a session of its own. */
function loginPlace(context: PlaceContext): WorkPlace {
  const name = workName(context.task.id);
  return {
    start: (work, _run, isAgain) => startWork(context, name, work, isAgain),
    glance: (seen) => glanceAtWork(context.files, name, seen),
    look: async (seen) => (await glanceAtWork(context.files, name, seen)) ?? lookAtWork(context, name),
    stop: () => stopWork(context, name),
    remove: () => removeWork(context, name),
  };
}
