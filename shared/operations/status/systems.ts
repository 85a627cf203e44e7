/** The configured systems and the health of their services. FirecREST v2: GET /status/systems. */
import { z } from 'zod';
import { clusterText } from '../fields.ts';
import { defineOperation } from '../operation.ts';

const serviceHealth = z.object({
  serviceType: z.enum(['scheduler', 'filesystem', 'ssh', 's3', 'exception']),
  lastChecked: z.string().nullable().describe('RFC 3339 with zone'),
  latency: z.number().nullable().describe('Seconds'),
  healthy: z.boolean(),
  message: z.string().nullable(),
  path: z.string().nullable().optional().describe('Only for file systems'),
});

const s3DataTransfer = z.object({
  serviceType: z.literal('s3'),
  name: z.string(),
  privateUrl: z.string().describe('Always masked'),
  publicUrl: z.string(),
  accessKeyId: z.string().describe('Always masked'),
  secretAccessKey: z.string().describe('Always masked'),
  region: z.string(),
  ttl: z.int().describe('Seconds'),
  tenant: z.string().nullable(),
  multipart: z.object({
    use_split: z.boolean(),
    max_part_size: z.int(),
    parallel_runs: z.int(),
    tmp_folder: z.string(),
  }),
  bucketLifecycleConfiguration: z.object({ days: z.int() }),
});

const streamerDataTransfer = z.object({
  serviceType: z.literal('streamer'),
  pypiIndexUrl: z.string().nullable(),
  host: z.string().nullable(),
  portRange: z.array(z.int()).length(2).describe('First and last port'),
  publicIps: z.array(z.string()).nullable(),
  waitTimeout: z.int(),
  inboundTransferLimit: z.int(),
});

const wormholeDataTransfer = z.object({ serviceType: z.literal('wormhole'), pypiIndexUrl: z.string().nullable() });

/** One system as FirecREST v2 shows it; times are whole seconds. Three members keep upstream's snake case. */
const systemView = z.object({
  name: z.string(),
  ssh: z.object({
    host: z.string(),
    port: z.int(),
    proxyHost: z.string().nullable(),
    proxyPort: z.int().nullable(),
    maxClients: z.int(),
    timeout: z.object({
      connection: z.int(),
      login: z.int(),
      commandExecution: z.int(),
      idleTimeout: z.int(),
      keepAlive: z.int(),
    }),
  }),
  scheduler: z.object({
    type: z.string().describe('slurm, pbs or process'),
    connectionMode: z.string().nullable(),
    version: z.string(),
    apiUrl: z.string().nullable(),
    apiVersion: z.string().nullable(),
    timeout: z.int(),
  }),
  servicesHealth: z.array(serviceHealth).nullable(),
  probing: z.object({
    services: z
      .partialRecord(z.enum(['ssh', 'filesystem', 'scheduler', 's3']), z.object({ timeout: z.int().nullable() }))
      .nullable(),
    intervalCheck: z.int(),
  }),
  lastHealthCheck: z.string().nullable(),
  fileSystems: z.array(
    z.object({
      path: z.string(),
      dataType: z.enum(['users', 'store', 'archive', 'apps', 'scratch', 'project']),
      defaultWorkDir: z.boolean(),
    }),
  ),
  dataOperation: z.object({
    max_ops_file_size: z.int(),
    datatransfer_jobs_directives: z.array(z.string()),
    data_transfer: z
      .discriminatedUnion('serviceType', [s3DataTransfer, streamerDataTransfer, wormholeDataTransfer])
      .nullable(),
  }),
});

export const systems = defineOperation({
  name: 'status.systems',
  summary: 'The systems and their health',
  input: z.object({
    names: clusterText(65_536).optional().describe('Only these systems, separated by commas; all if not given'),
  }),
  result: z.object({ systems: z.array(systemView) }),
  firecrest: {
    method: 'GET',
    path: '/status/systems',
    status: 200,
    answer: ({ systems: list }) => ({ systems: list }),
  },
  relation: 'view_status',
  requires: [],
  lane: 'interactive',
  scope: 'none',
  systemsField: 'names',
  mutates: false,
  recover: 'rerun',
  paths: [],
  timeoutMs: 10_000,
  errors: [],
});
