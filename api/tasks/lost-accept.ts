/** What a caller is told when the store gave no answer to an accept. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import type { AcceptRequest } from './task-gate.ts';

/** What is to be told of an accept that made no new task, or may have made none. */
export type NotNew = { earlierId: string } | { error: unknown; mayBeKept: boolean };

/** Whether the store could not serve. */
export function isStoreAway(error: unknown): error is BrokerError {
  return error instanceof BrokerError && error.code === 'StoreUnavailable';
}

/**
 * Whether the task of an accept that failed may be there and run: the store did not say no, and may have been asked. Its own
 * answers are BrokerErrors; a fault of ours may have come before or after.
 */
export function mayBeKept(error: unknown): boolean {
  if (!(error instanceof BrokerError)) return true;
  return (
    isStoreAway(error) && !(error.cause instanceof Error && error.cause.message.includes("Stream isn't writeable"))
  );
}

/**
 * What may be said when an accept failed. A command that was sent and not answered may have been carried out: a mutation
 * without an idempotency key must then not be repeated before somebody has looked.
 */
export function whatIsKnown(error: unknown, request: AcceptRequest, id: string): unknown {
  if (!isStoreAway(error) || findOperation(request.operation)?.mutates === false) return error;
  if (!mayBeKept(error) || request.idempotencyKey !== undefined) return error;
  return new BrokerError(
    'OutcomeUnknown',
    `The task store did not answer, so it is not known whether the request was accepted. If it was, it is task ${id}: look at /tasks/${id} before you repeat it.`,
    { cause: error },
  );
}
