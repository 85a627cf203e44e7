/** What a task does while its client has yet to come to a program on the cluster, and once it has come. */

import type { OperationContext } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import { clientWaitMs } from './client-wait.ts';

/** Until the client has come the task stands aside; then it takes a place again. `wasAside`: it stood aside until now. */
export function untilClientCame(
  { options }: Parked,
  { isConnected, wasAside }: { isConnected: boolean; wasAside: boolean },
  { task }: Pick<OperationContext, 'task'>,
): Parked {
  if (isConnected) return new Parked(wasAside ? { ...options, place: 'turn', waitMs: 0 } : options);
  const progress = {
    done: 0,
    total: options.progress?.total ?? null,
    unit: 'bytes' as const,
    message: 'waiting for the client',
  };
  return new Parked({ ...options, place: 'aside', waitMs: clientWaitMs(Date.now() - task.createdAt), progress });
}

/** How long the program waits for the client, in whole seconds: not beyond the task's deadline. */
export function clientWaitSeconds(waitMs: number, { task }: Pick<OperationContext, 'task'>): number {
  return Math.max(1, Math.round(Math.min(waitMs, task.deadlineAt - Date.now()) / 1_000));
}

/** What a program that moved a file with a client said at its good end, beside the digest. */
export function streamFacts(stdout: string): { bytes: number; seconds: number } {
  const fact = (name: string): number => Number(new RegExp(`^${name} (\\d+(?:\\.\\d+)?)$`, 'm').exec(stdout)?.[1] ?? 0);
  return { bytes: fact('bytes'), seconds: fact('took') };
}
