/**
 * The broker itself over a lab: one API process and some workers, as an operator would run them, with a configuration
 * that names the lab's parts. The demo, the system tests and the benchmarks stand on it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type Daemon, startDaemon } from './daemon.ts';
import { portAt, startOnFreePorts } from './free-ports.ts';
import type { OidcFacts } from './oidc/token-client.ts';
import type { RedisFacts } from './parts/redis.ts';
import type { S3Facts } from './parts/s3.ts';
import type { SlurmFacts } from './parts/slurm.ts';
import type { SshdFacts } from './parts/sshd.ts';
import type { LabUser } from './users.ts';

/** What a broker needs to know of a lab: the lab itself, or its facts in another process. */
export interface BrokerGround {
  /** For its configuration and its logs. */
  readonly folder: string;
  readonly users: readonly LabUser[];
  readonly redis: RedisFacts;
  readonly sshd: SshdFacts;
  readonly oidc: OidcFacts;
  /** Only looked at where Slurm is the scheduler. */
  readonly slurm?: Pick<SlurmFacts, 'version'>;
}

export interface BrokerOptions {
  /** 1 when left out. */
  workers?: number;
  scheduler?: 'slurm' | 'process';
  /** Where requests may go; the homes of the users and /tmp when left out. */
  fileSystems?: readonly { path: string; data_type: string; default_work_dir?: boolean }[];
  /** Tell it the address it is called by; without that its links are relative and it has no metadata (RFC 9728). */
  hasPublicUrl?: boolean;
  /** Merged over the `goldcrest` section. */
  goldcrest?: Record<string, unknown>;
  /** Merged over the cluster's `ssh` section. */
  ssh?: Record<string, unknown>;
  /** The store in which transfers are staged; without one there are none. */
  s3?: S3Facts;
  /** Merged over the store's section. */
  staging?: Record<string, unknown>;
  /** Merged over the cluster's `data_operation` section. */
  dataOperation?: Record<string, unknown>;
  /** Merged over the cluster. */
  cluster?: Record<string, unknown>;
  /** More systems like the first one, perhaps on servers of their own. */
  otherSystems?: readonly OtherSystem[];
  /** Name of the system; `lab` when left out. */
  systemName?: string;
  /** More processes than one broker of the same lab need names of their own; `broker` when left out. */
  name?: string;
  /** Ports of this machine to which webhooks may go; some from 18,080 on when left out. */
  webhookPorts?: readonly number[];
  /** Run the compiled files of `npm run build`, as in production, not the sources. */
  isCompiled?: boolean;
}

export interface OtherSystem {
  name: string;
  sshd: SshdFacts;
  /** Merged over its cluster. */
  cluster?: Record<string, unknown>;
  /** Merged over its entry of `goldcrest.systems`. */
  section?: Record<string, unknown>;
}

export interface Broker {
  /** Base address of the API, without a trailing slash. */
  url: string;
  systemName: string;
  configFile: string;
  /** Of this broker's keys in Redis. */
  keyPrefix: string;
  api: Daemon;
  workers: Daemon[];
  /** Adds a worker to those that run. */
  addWorker(): Promise<Daemon>;
  /** Stops workers and API as an operator would, by SIGTERM. */
  stop(): Promise<void>;
}

const repository = fileURLToPath(new URL('..', import.meta.url));
const workerReadyLine = 'worker is ready';

/** Resolves when the API is ready and every worker reads its queues. */
export async function startBroker(lab: BrokerGround, options: BrokerOptions = {}): Promise<Broker> {
  const name = options.name ?? 'broker';
  const keyPrefix = `gc-${name}-${randomBytes(3).toString('hex')}`;
  const systemName = options.systemName ?? 'lab';
  return startOnFreePorts(1, async (ports) => {
    const port = portAt(ports, 0);
    const configFile = join(lab.folder, `${name}.yaml`);
    writeFileSync(configFile, stringify(configuration(lab, options, { port, keyPrefix, systemName })), { mode: 0o600 });
    const url = `http://127.0.0.1:${port}`;
    const env = { GOLDCREST_CONFIG: configFile, NODE_ENV: 'production' };
    const entry = (file: string, ...flags: string[]) =>
      options.isCompiled === true
        ? ['--max-semi-space-size=8', ...flags, join(repository, 'dist', file.replace(/\.ts$/, '.js'))]
        : ['--import', 'tsx', join(repository, file)];
    const common = { folder: lab.folder, command: process.execPath, cwd: repository, env, readyTimeoutMs: 60_000 };
    const startWorker = (number: number): Promise<Daemon> =>
      startDaemon({
        ...common,
        name: `${name}-worker-${number}`,
        args: entry('workers/main.ts', '--no-memory-reducer'),
        isReady: (pid) => saysReady(join(lab.folder, 'logs', `${name}-worker-${number}.log`), pid),
        stopTimeoutMs: 40_000,
      });
    const startApi = (): Promise<Daemon> =>
      startDaemon({
        ...common,
        name: `${name}-api`,
        args: entry('api/main.ts'),
        isReady: async () => (await fetch(`${url}/livez`)).ok,
        stopTimeoutMs: 20_000,
      });
    const numbers = Array.from({ length: options.workers ?? 1 }, (_, at) => at + 1);
    const [api, ...workers] = await startTogether([startApi, ...numbers.map((number) => () => startWorker(number))]);
    const addWorker = async (): Promise<Daemon> => {
      const worker = await startWorker(workers.length + 1);
      workers.push(worker);
      return worker;
    };
    return {
      url,
      systemName,
      configFile,
      keyPrefix,
      api,
      workers,
      addWorker,
      async stop() {
        await Promise.all([api.stop(), ...workers.map((worker) => worker.stop())]);
      },
    };
  });
}

/** Whether the log has the line of that very process: one that was started again goes on in the log of the one before. */
function saysReady(file: string, pid: number): boolean {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  return lines.some((line) => line.includes(workerReadyLine) && line.includes(`-${pid}-`));
}

/** All of them, or none: where one does not start, the others are stopped again. */
async function startTogether(
  starts: readonly [() => Promise<Daemon>, ...(() => Promise<Daemon>)[]],
): Promise<[Daemon, ...Daemon[]]> {
  const results = await Promise.allSettled(starts.map((start) => start()));
  const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure === undefined) return started as [Daemon, ...Daemon[]];
  await Promise.all(started.map((daemon) => daemon.stop()));
  throw failure.reason;
}

function stagingSection(facts: S3Facts, { staging }: BrokerOptions): Record<string, unknown> {
  const { endpoint, region, accessKeyId, secretAccessKey } = facts;
  return {
    ...{ service_type: 's3', name: 'lab-s3', private_url: endpoint, public_url: endpoint, region, ttl: 3_600 },
    ...{ access_key_id: accessKeyId, secret_access_key: secretAccessKey },
    ...staging,
  };
}

interface Places {
  port: number;
  keyPrefix: string;
  systemName: string;
}

/** The lab's Slurm by its slurmrestd, as one more system. */
export function restSystem(
  lab: { sshd: SshdFacts; slurm: Pick<SlurmFacts, 'version' | 'rest'> },
  connectionMode: 'rest' | 'hybrid',
): OtherSystem {
  const { version, rest } = lab.slurm;
  return {
    name: connectionMode,
    sshd: lab.sshd,
    cluster: { scheduler: { type: 'slurm', version, connection_mode: connectionMode, api_url: rest.url } },
    section: { slurmrestd: { jwt_key_file: rest.jwtKeyPath } },
  };
}

/** A FirecREST v2 file with a `goldcrest` section; secrets stand in it, so it is for the lab's folder only. */
function configuration(lab: BrokerGround, options: BrokerOptions, { port, keyPrefix, systemName }: Places): unknown {
  const { oidc, sshd, redis, users } = lab;
  const scheduler = options.scheduler ?? 'slurm';
  const homes = [...new Set(users.map(({ home }) => home))];
  const fileSystems =
    options.fileSystems ??
    [...homes, '/tmp'].map((path, at) => ({ path, data_type: 'users', default_work_dir: at === 0 }));
  const cluster = (name: string, at: SshdFacts, own: Record<string, unknown> = {}) => ({
    name,
    ssh: { host: at.host, port: at.port, max_clients: 400, timeout: { command_execution: 20 }, ...options.ssh },
    scheduler: {
      type: scheduler,
      version: scheduler === 'slurm' ? (lab.slurm?.version ?? '') : '1',
      connection_mode: 'ssh',
    },
    service_account: { client_id: 'service', secret: `not-used-${randomBytes(12).toString('hex')}` },
    probing: {},
    file_systems: fileSystems,
    data_operation: {
      ...(options.s3 === undefined ? {} : { data_transfer: stagingSection(options.s3, options) }),
      ...options.dataOperation,
    },
    ...options.cluster,
    ...own,
  });
  const systems: OtherSystem[] = [{ name: systemName, sshd }, ...(options.otherSystems ?? [])];
  return {
    auth: { authentication: { token_url: oidc.tokenEndpoint, public_certs: [oidc.jwksUri] } },
    clusters: systems.map((system) => cluster(system.name, system.sshd, system.cluster)),
    goldcrest: {
      redis: { url: redis.url, key_prefix: keyPrefix },
      issuers: [{ issuer: oidc.issuer, audiences: [oidc.audience] }],
      // Any key will do: it lives as long as this broker. Receivers are on this machine.
      webhooks: {
        sealing_keys: [{ id: 'lab', key: randomBytes(32).toString('base64') }],
        allow_http: true,
        ports: options.webhookPorts ?? Array.from({ length: 5 }, (_, at) => 18_080 + at),
        allowed_networks: ['127.0.0.1/32'],
      },
      ssh_credentials: { type: 'UserCA', private_key: `secret_file:${sshd.userCa.privateKeyPath}` },
      systems: Object.fromEntries(
        systems.map(({ name, sshd: at, section }) => [name, { host_keys: { pinned: [at.hostKey] }, ...section }]),
      ),
      ...options.goldcrest,
      api: {
        ...{ host: '127.0.0.1', port },
        ...(options.hasPublicUrl ? { public_url: `http://127.0.0.1:${port}` } : {}),
        ...(options.goldcrest?.api as object | undefined),
      },
    },
  };
}
