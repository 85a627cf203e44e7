/** In which queue each step of a chain will stand. */
import type { Operation } from '../../shared/operations/operation.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import { queueName } from '../../shared/platform/queues.ts';
import type { NewChain, NewStep } from '../../shared/tasks/chain.ts';

/** The steps as they were admitted. */
export interface WishedChain {
  /** The step to begin with; those before it are done. */
  at: number;
  steps: readonly Omit<NewStep, 'queue' | 'admittedMax'>[];
}

export interface AdmissionBounds {
  admittedPerUserMax: number;
  movesPerUserMax: number;
}

/** Tasks of one owner that may stand in the operation's queue at once. */
export function admittedMaxOf({ lane }: Pick<Operation, 'lane'>, bounds: AdmissionBounds): number {
  return lane === 'move' ? bounds.movesPerUserMax : bounds.admittedPerUserMax;
}

export function placeChain({ at, steps }: WishedChain, bounds: AdmissionBounds): NewChain {
  const placed = steps.map((step): NewStep => {
    const operation = findOperation(step.operation) as Operation;
    return { ...step, queue: queueName(operation.lane, step.system), admittedMax: admittedMaxOf(operation, bounds) };
  });
  return { at, steps: placed };
}
