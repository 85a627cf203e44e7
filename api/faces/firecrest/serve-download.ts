/** The route of an operation whose answer is bytes: they go from the worker to the client, through neither Redis nor memory. */
import { posix } from 'node:path';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import type { AppContext } from '../../http/app-env.ts';
import { attachment } from '../../http/content-disposition.ts';
import { pickHeaders, relayAnswer } from '../../http/relay.ts';
import type { WorkerAnswer, WorkerPort } from '../../http/worker-port.ts';
import type { HeldTransfer } from '../../tasks/hold-transfer.ts';
import { acceptRequestOf, admitInput, findSystem } from '../accept-task.ts';
import { answerHoldTimeout, isHoldOver, throwFailure } from './answer-outcome.ts';
import { createInputReader } from './read-input.ts';
import type { FaceDeps } from './serve-operation.ts';

/** Headers of the worker's answer that are the client's. */
const passedHeaders = ['accept-ranges', 'content-length', 'content-range', 'last-modified'];

/** `Prefer: respond-async` is not applied: there would be nobody to send the bytes to. */
export function serveDownload(deps: FaceDeps, operation: Operation): (c: AppContext) => Promise<Response> {
  const { config, gate } = deps;
  const reader = createInputReader(operation, config.api.bodyBytesMax);
  const { holdMs } = config.api;
  return async (c) => {
    const system = findSystem(deps.systems, c.req.param('system_name') ?? '');
    await deps.checkAccess(c.get('principal'), operation.relation, system.name, c.get('address'));
    const input = admitInput(operation, await reader.read(c), system, reader.locate);
    deps.requireHealthy(operation, system, input);
    const deadlineAt = deps.now() + holdMs + operation.timeoutMs;
    const wish = { operation, system: system.name, input, isHeld: true, holdMs, deadlineAt };
    const transfer = await gate.acceptTransfer(acceptRequestOf(c, wish), c.req.raw.signal);
    c.set('taskId', transfer.id);
    try {
      const answer = await meetWorker(deps.workers.get, transfer);
      if (answer !== null && answer.statusCode !== 416) {
        const name = posix.basename(String(input.path));
        const headers = { 'content-type': 'application/octet-stream', 'content-disposition': attachment(name) };
        return await relayAnswer(c, answer, answer.statusCode, { ...headers, ...pickHeaders(answer, passedHeaders) });
      }
      if (answer !== null) {
        c.set('replyHeaders', pickHeaders(answer, passedHeaders));
        answer.drop();
      }
      return await answerWithout(c, deps, operation, transfer, answer === null ? 0 : holdMs);
    } finally {
      transfer.release();
    }
  };
}

/** The answer of the worker that has the bytes, or says that the range is none; null where the task ended without. */
export async function meetWorker(ask: WorkerPort['get'], transfer: HeldTransfer): Promise<WorkerAnswer | null> {
  for (let url = await transfer.nextOffer(); url !== null; url = await transfer.nextOffer()) {
    // A worker that cannot be reached, or whose attempt failed, is followed by another attempt or by the end.
    const answer = await ask(url).catch(() => null);
    if (answer === null) continue;
    if ([200, 206, 416].includes(answer.statusCode)) return answer;
    answer.drop();
  }
  return null;
}

export async function answerWithout(
  c: AppContext,
  { config }: FaceDeps,
  operation: Operation,
  transfer: HeldTransfer,
  waitMs: number,
): Promise<Response> {
  const outcome = await transfer.outcome(waitMs);
  if (isHoldOver(operation, outcome)) {
    await transfer.cancel();
    return answerHoldTimeout(c, config, operation, transfer.id);
  }
  throwFailure(outcome);
  throw new BrokerError('WorkerLost', 'The bytes were lost on their way.');
}
