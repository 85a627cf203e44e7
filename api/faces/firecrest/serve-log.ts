/** The route of a job's output: bytes as they are, or followed as server-sent events, from the worker to the client. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { principalKey } from '../../../shared/tasks/task.ts';
import type { AppContext } from '../../http/app-env.ts';
import { pickHeaders, relayAnswer } from '../../http/relay.ts';
import { acceptRequestOf, admitInput, findSystem } from '../accept-task.ts';
import { createInputReader } from './read-input.ts';
import { answerWithout, meetWorker } from './serve-download.ts';
import type { FaceDeps } from './serve-operation.ts';

/** Headers of the worker's answer that are the client's. */
const passedHeaders = ['content-type', 'content-length', 'x-accel-buffering'];

/** TooManyStreams where the user follows as many as may be; else as a download. The stream ends with the token. */
export function serveLog(deps: FaceDeps, operation: Operation): (c: AppContext) => Promise<Response> {
  const { config, gate } = deps;
  const reader = createInputReader(operation, config.api.bodyBytesMax);
  const { holdMs } = config.api;
  const open = countByOwner(config.logs.streamsPerUserMax);
  return async (c) => {
    const system = findSystem(deps.systems, c.req.param('system_name') ?? '');
    await deps.checkAccess(c.get('principal'), operation.relation, system.name, c.get('address'));
    const input = admitInput(operation, await reader.read(c), system, reader.locate);
    deps.requireHealthy(operation, system, input);
    const now = deps.now();
    const leftMs = (c.get('tokenEndsAt') ?? Number.POSITIVE_INFINITY) - now;
    if (leftMs <= 0) throw new BrokerError('TokenExpired', 'Access token expired');
    const leave = input.follow === true ? open(principalKey(c.get('principal'))) : () => {};
    try {
      const deadlineAt = now + (input.follow === true ? Math.min(config.logs.followMsMax, leftMs) : 2 * holdMs);
      const wish = { operation, system: system.name, input, isHeld: true, holdMs, deadlineAt };
      const transfer = await gate.acceptTransfer(acceptRequestOf(c, wish), c.req.raw.signal);
      c.set('taskId', transfer.id);
      try {
        const answer = await meetWorker(deps.workers.follow, transfer);
        if (answer === null) return await answerWithout(c, deps, operation, transfer, 0);
        return await relayAnswer(c, answer, 200, {
          'cache-control': 'no-store',
          ...pickHeaders(answer, passedHeaders),
        });
      } finally {
        transfer.release();
      }
    } finally {
      leave();
    }
  };
}

/** Takes a place among the streams of an owner; what it returns gives it back. */
function countByOwner(max: number): (owner: string) => () => void {
  const counts = new Map<string, number>();
  return (owner) => {
    const count = counts.get(owner) ?? 0;
    if (count >= max) {
      throw new BrokerError('TooManyStreams', `You follow the output of ${max} jobs, the bound.`, {
        ...{ retryAfterSeconds: 5, quota: max },
      });
    }
    counts.set(owner, count + 1);
    return () => {
      const left = (counts.get(owner) ?? 1) - 1;
      if (left > 0) counts.set(owner, left);
      else counts.delete(owner);
    };
  };
}
