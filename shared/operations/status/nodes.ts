/** The compute nodes of a system. FirecREST v2: GET /status/{system_name}/nodes. */
import { z } from 'zod';
import { askScheduler } from '../ask-scheduler.ts';
import { defineOperation } from '../operation.ts';

/** FirecREST v2's words for the state of a node. */
export const nodeStates = [
  'IDLE',
  'ALLOCATED',
  'MIXED',
  'DOWN',
  'DRAIN',
  'OFFLINE',
  'RESERVED',
  'COMPLETING',
  'BUSY',
  'POWERING_DOWN',
  'POWERING_UP',
  'UNKNOWN',
] as const;

export type NodeState = (typeof nodeStates)[number];

const mebibytes = z.int().nullable().describe('MiB');

export const node = z.object({
  sockets: z.int().nullable(),
  cores: z.int().nullable().describe('In each socket'),
  threads: z.int().nullable().describe('In each core'),
  cpus: z.int(),
  cpuLoad: z.number().nullable(),
  freeMemory: mebibytes,
  features: z.union([z.string(), z.array(z.string())]).nullable(),
  name: z.string(),
  address: z.string().nullable(),
  hostname: z.string().nullable(),
  state: z.array(z.enum(nodeStates)),
  partitions: z.array(z.string()).nullable(),
  weight: z.int().nullable(),
  allocMemory: mebibytes,
  allocCpus: z.int().nullable(),
  idleCpus: z.int().nullable(),
});

export type Node = z.infer<typeof node>;

export const nodes = defineOperation({
  name: 'status.nodes',
  summary: 'The compute nodes of a system',
  input: z.object({}),
  result: z.object({ nodes: z.array(node) }),
  firecrest: {
    method: 'GET',
    path: '/status/{system_name}/nodes',
    status: 200,
    answer: ({ nodes: list }) => ({ nodes: list }),
  },
  relation: 'view_status',
  ...askScheduler,
  timeoutMs: 30_000,
  errors: ['SchedulerFailed'],
});
