/** GET /limits: what the caller may do, and how much of it is left. */
import { z } from 'zod';
import type { Lane } from '../../../shared/operations/lanes.ts';
import { operationNames, operations } from '../../../shared/operations/registry.ts';
import { queueName } from '../../../shared/platform/queues.ts';
import { windowSeconds } from '../../../shared/platform/user-rate.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { rateHeaders } from '../../http/rate-headers.ts';
import { batchMax } from './submit-batch.ts';

export const limitsView = z.object({
  rate: z
    .object({
      tasksPerSecond: z.int(),
      tasksAtOnce: z.int().describe('After a rest'),
      windowSeconds: z.int().describe('In which all of them come back'),
      remaining: z.int(),
    })
    .nullable()
    .describe('How fast tasks may be submitted, by any route; null: as fast as you like'),
  openTasks: z.object({
    max: z.int().describe('Unfinished tasks in each queue'),
    perQueueMax: z.int().describe('Of all users, in each queue'),
    perSystemMax: z.int().describe('Of all users, in all queues of a system'),
    queues: z.array(z.object({ lane: z.string(), system: z.string().nullable(), open: z.int() })),
  }),
  batchTasksMax: z.int(),
  requestBodyBytesMax: z.int(),
  resultBytesMax: z.int().describe('Of a result that is kept'),
  keepSeconds: z.int().describe('A finished task is kept so long'),
});

type Queue = { lane: Lane; system: string | null };

/** Every queue a task can stand in. */
function queuesOf(systems: readonly { name: string }[]): Queue[] {
  const all = operationNames.flatMap((name): Queue[] => {
    const { lane, scope } = operations[name];
    return scope === 'none' ? [{ lane, system: null }] : systems.map((system) => ({ lane, system: system.name }));
  });
  return [...new Map(all.map((queue) => [queueName(queue.lane, queue.system), queue])).values()];
}

/** 200 with the limits. */
export function readLimits({ config, gate }: Pick<AppDeps, 'config' | 'gate'>): (c: AppContext) => Promise<Response> {
  const queues = queuesOf(config.systems);
  const names = queues.map(({ lane, system }) => queueName(lane, system));
  return async (c) => {
    const principal = c.get('principal');
    const [rate, open] = await Promise.all([gate.rateOf(principal), gate.countOpen(principal, names)]);
    const body: z.infer<typeof limitsView> = {
      rate:
        rate === null
          ? null
          : {
              ...{ tasksPerSecond: rate.limit.perSecond, tasksAtOnce: rate.limit.burst },
              ...{ windowSeconds: windowSeconds(rate.limit), remaining: rate.remaining },
            },
      openTasks: {
        max: config.tasks.openPerUserMax,
        perQueueMax: config.tasks.openPerQueueMax,
        perSystemMax: config.tasks.openPerSystemMax,
        queues: queues.map((queue, n) => ({ ...queue, open: open[n] ?? 0 })),
      },
      batchTasksMax: batchMax,
      requestBodyBytesMax: config.api.bodyBytesMax,
      resultBytesMax: config.tasks.resultBytesMax,
      keepSeconds: Math.floor(config.tasks.keepMs / 1_000),
    };
    return jsonResponse(c, 200, body, rateHeaders(rate));
  };
}
