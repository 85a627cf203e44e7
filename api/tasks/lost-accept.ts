/** What a caller is told when the store gave no answer to an accept. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import type { AcceptRequest } from './task-gate.ts';

/** Whether the store could not serve. */
export function isStoreAway(error: unknown): error is BrokerError {
  return error instanceof BrokerError && error.code === 'StoreUnavailable';
}

/**
 * What may be said when an accept failed. A command that was sent and not answered may have been carried out: a mutation
 * without an idempotency key must then not be repeated before somebody has looked.
 */
export function whatIsKnown(error: unknown, request: AcceptRequest, id: string): unknown {
  if (!isStoreAway(error) || findOperation(request.operation)?.mutates === false) return error;
  const wasSent = !(error.cause instanceof Error && error.cause.message.includes("Stream isn't writeable"));
  if (!wasSent || request.idempotencyKey !== undefined) return error;
  return new BrokerError(
    'OutcomeUnknown',
    `The task store did not answer, so it is not known whether the request was accepted. If it was, it is task ${id}: look at /tasks/${id} before you repeat it.`,
    { cause: error },
  );
}
