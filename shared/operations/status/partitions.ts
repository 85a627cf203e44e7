/** The partitions of a system. FirecREST v2: GET /status/{system_name}/partitions. */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { laxBoolean } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const partition = z.object({
  name: z.string(),
  cpus: z.int().nullable(),
  totalNodes: z.int().nullable(),
  partition: z.union([z.string(), z.array(z.string())]).describe('The state: UP, DOWN, DRAIN, INACTIVE'),
});

export type Partition = z.infer<typeof partition>;

export const partitions = defineOperation({
  name: 'status.partitions',
  summary: 'The partitions of a system',
  input: z.object({ show_hidden: laxBoolean.default(false).describe('Also hidden partitions') }),
  result: z.object({ partitions: z.array(partition) }),
  firecrest: {
    method: 'GET',
    path: '/status/{system_name}/partitions',
    status: 200,
    answer: ({ partitions: list }) => ({ partitions: list }),
  },
  relation: 'view_status',
  ...askScheduler,
  timeoutMs: 30_000,
  errors: ['SchedulerFailed'],
});
