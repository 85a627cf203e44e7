/**
 * POST /tasks/{id}/retry: what failed or was canceled once more, as a task of its own; an end stays the end it was. A chain
 * goes on with the step that did not end well, and has of the earlier ones what they gave.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { findOperation } from '../../../shared/operations/registry.ts';
import type { Task } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { readPreferences } from '../../http/prefer.ts';
import type { WishedChain } from '../../tasks/place-chain.ts';
import {
  acceptRequestOf,
  callerOf,
  findSystem,
  replayHeaders,
  type SystemsByName,
  type TaskWish,
} from '../accept-task.ts';
import { acceptedResponse } from '../task-accepted.ts';
import { readTaskId } from './read-task.ts';

type Deps = Pick<AppDeps, 'config' | 'gate' | 'checkAccess' | 'requireHealthy'> & { systems: SystemsByName };

function operationOf(name: string): Operation {
  const operation = findOperation(name);
  if (operation !== undefined && operation.bytes === undefined) return operation;
  throw new BrokerError('NotSupported', `${name} cannot be repeated by the broker: send the request again.`);
}

function refuseOthers({ state }: Task): void {
  if (state === 'failed' || state === 'canceled') return;
  throw new BrokerError(
    'TaskConflict',
    `Only a task that failed or was canceled can be retried; this one is ${state}.`,
  );
}

/** The chain from the step on that did not end well. */
function chainOf({ chain }: Task): { chain?: WishedChain } {
  if (chain === null) return {};
  const steps = chain.steps.map(({ name, operation, system, input, result, journal }, n) => ({
    ...{ name, operation, system, input },
    ...(n < chain.at ? { done: { result, journal } } : {}),
  }));
  return { chain: { at: chain.at, steps } };
}

/** Grants are asked for anew, of every step that is still to run. Forbidden, SystemNotFound. */
async function checkSteps(deps: Deps, c: AppContext, task: Task): Promise<void> {
  const { principal, address } = callerOf(c);
  const steps = task.chain === null ? [task] : task.chain.steps.slice(task.chain.at);
  for (const { operation, system } of steps) {
    const name = system === null ? null : findSystem(deps.systems, system).name;
    await deps.checkAccess(principal, operationOf(operation).relation, name, address);
  }
}

/** 202 with the new task. TaskConflict, NotSupported, Forbidden, SystemNotFound and what the gate throws. */
export function retryTask(deps: Deps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const earlier = await deps.gate.get(readTaskId(c), c.get('principal'));
    refuseOthers(earlier);
    await checkSteps(deps, c, earlier);
    const operation = operationOf(earlier.operation);
    const input = earlier.input as Record<string, unknown>;
    const system = earlier.system === null ? null : findSystem(deps.systems, earlier.system);
    deps.requireHealthy(operation, system, input);
    const wish: TaskWish = {
      ...{ operation, system: earlier.system, input, isHeld: false, holdMs: 0, isKeyed: true, retryOf: earlier.id },
      ...chainOf(earlier),
      ...(earlier.tags.length === 0 ? {} : { tags: earlier.tags }),
      ...(earlier.priority === 0 ? {} : { priority: earlier.priority }),
      ...(earlier.webhook === null ? {} : { webhook: earlier.webhook }),
    };
    const request = acceptRequestOf(c, wish);
    const { id, isReplay } = await deps.gate.accept(request);
    c.set('taskId', id);
    const task = await deps.gate.get(id, request.principal);
    const preferences = readPreferences(c.req.header('prefer'));
    return acceptedResponse(c, deps.config, task, preferences, replayHeaders(request, isReplay));
  };
}
