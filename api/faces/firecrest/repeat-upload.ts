/**
 * The Idempotency-Key of an upload. What a file holds is known when its last byte has come: the key stands for where it goes,
 * and the digest that the worker leaves in the result for what it is. The bytes of a repeat are read, compared and dropped.
 */
import { createHash } from 'node:crypto';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { upload } from '../../../shared/operations/filesystem/upload.ts';
import type { Operation, ResultOf } from '../../../shared/operations/operation.ts';
import { keyMismatch } from '../../../shared/platform/batch-keys.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import type { AppContext } from '../../http/app-env.ts';
import type { EarlierTransfer, HeldTransfer } from '../../tasks/hold-transfer.ts';
import type { AcceptRequest, TaskGate } from '../../tasks/task-gate.ts';
import { replayHeaders } from '../accept-task.ts';
import { answerEnd } from './answer-outcome.ts';

/** Times that a key is taken over in one request; each time another upload with it has failed in between. */
const takeOversMax = 3;
/** Until a repeat may be compared with an upload that still runs. */
const runningRetrySeconds = 5;

/**
 * Accepts an upload, or finds the earlier one with its key. One that failed or was canceled has changed nothing, and gives
 * its key up: else a client whose connection broke could never send the file again. Throws what accepting throws.
 */
export async function acceptUpload(
  gate: Pick<TaskGate, 'acceptKeyedTransfer' | 'get'>,
  request: AcceptRequest,
  signal: AbortSignal,
): Promise<HeldTransfer | EarlierTransfer> {
  let transfer = await gate.acceptKeyedTransfer(request, signal);
  for (let count = 0; transfer.isReplay && count < takeOversMax; count += 1) {
    const { state } = await gate.get(transfer.id, request.principal);
    if (!isTerminal(state) || state === 'completed') break;
    transfer = await gate.acceptKeyedTransfer({ ...request, insteadOf: transfer.id }, signal);
  }
  return transfer;
}

/**
 * The answer of the earlier upload, which is waited for where it still runs. Throws IdempotencyMismatch where its file held
 * other bytes, IdempotencyRunning where they cannot be compared now, and what reading the bytes throws.
 */
export async function answerRepeat(
  c: AppContext,
  gate: Pick<TaskGate, 'wait'>,
  operation: Operation,
  request: AcceptRequest & { id: string },
  bytes: AsyncIterable<Buffer>,
): Promise<Response> {
  const hash = createHash('sha256');
  for await (const chunk of bytes) hash.update(chunk);
  const { id, principal, holdMs } = request;
  const { state, result } = await gate.wait(id, principal, holdMs, c.req.raw.signal);
  if (!isTerminal(state)) {
    const message = 'The upload that began with this Idempotency-Key still runs: its bytes cannot be compared yet.';
    throw new BrokerError('IdempotencyRunning', message, { retryAfterSeconds: runningRetrySeconds });
  }
  if (state !== 'completed') {
    const message = 'The upload that began with this Idempotency-Key has ended without its file: send this one again.';
    throw new BrokerError('IdempotencyRunning', message, { retryAfterSeconds: 1 });
  }
  if ((result as ResultOf<typeof upload>).sha256 !== hash.digest('hex')) throw keyMismatch();
  const outcome = { id, isReplay: true, state, resultJson: JSON.stringify(result) };
  return answerEnd(c, operation, outcome, replayHeaders(request, true));
}
