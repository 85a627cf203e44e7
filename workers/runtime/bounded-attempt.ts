/** An attempt within its bounds: the time that its handler has to end once it was told to, and who may tell it so. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { endsWork, refusalOf } from './obstacles.ts';
import type { StillAllowed } from './still-allowed.ts';

/** Time that a handler has to end after it was told to. */
const abortGraceMs = 15_000;

/**
 * Breaks an attempt off when who may grant it has taken that back, which is asked again and again while it runs; its handler
 * then stops what it began, as for a cancel. A submission is not broken off: whether there is a job has to be found out.
 * Returns the way to stop asking.
 */
export function holdToConsent(
  { stillAllowed, askEveryMs }: { stillAllowed: StillAllowed; askEveryMs: number | null },
  operation: Operation,
  task: Task,
  controller: AbortController,
): () => void {
  if (askEveryMs === null || operation.journalsFirst === true) return () => undefined;
  let isAsking = false;
  const ask = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    const refusal = await refusalOf(stillAllowed, operation, task);
    isAsking = false;
    if (refusal !== null && endsWork(refusal)) controller.abort(refusal);
  };
  const timer = setInterval(() => void ask(), askEveryMs);
  return () => clearInterval(timer);
}

/** The work, or an error where it does not end although it was told to: a task must not hang on its handler. */
export async function settledSoonAfterAbort<T>(
  work: Promise<T>,
  operation: Operation,
  signal: AbortSignal,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => {};
  const overdue = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      timer = setTimeout(
        () => {
          const code = operation.mutates ? 'OutcomeUnknown' : 'CommandTimeout';
          reject(new BrokerError(code, 'The operation was told to stop and did not.'));
        },
        graceMs(operation, signal.reason),
      );
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([work, overdue]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** A look at work that goes on by itself is let finish, unless the worker stops: the next look is to stop that work. */
function graceMs({ lane, timeoutMs }: Operation, reason: unknown): number {
  const isStop = reason instanceof BrokerError && reason.code === 'ShuttingDown';
  return lane === 'move' && !isStop ? timeoutMs : abortGraceMs;
}
