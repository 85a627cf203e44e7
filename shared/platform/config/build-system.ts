/** One system from a cluster of FirecREST's list and what `goldcrest.systems` adds to it. */

import type { SealingKey } from '../sealing.ts';
import type {
  DataOperationConfig,
  HostKeysConfig,
  ProbingConfig,
  SlurmrestdConfig,
  SystemConfig,
  SystemSshConfig,
} from './config.ts';
import { firecrestView, portRange } from './firecrest-view.ts';
import type { ProcessJobsConfig } from './process-jobs.ts';
import type { Questions } from './questions.ts';
import type { ClusterSettings } from './schema-file.ts';
import type { HostKeysSection, SystemSection } from './schema-system.ts';

/** Limit for one scheduler request where FirecREST's file switches the limit off. */
const schedulerTimeoutSeconds = 10;
const sshPort = 22;

/** What a system is built from. */
export interface SystemParts {
  cluster: ClusterSettings;
  section: SystemSection;
  /** Host keys for systems that have none of their own. */
  sharedHostKeys: HostKeysSection | undefined;
  /** That may seal what clients of a streamer are given. */
  sealingKeys: SealingKey[];
  /** Of the cluster in its list. */
  index: number;
}

/** The system; asks for host keys that are missing. */
export function buildSystem(parts: SystemParts, questions: Questions): SystemConfig {
  const { cluster, section } = parts;
  const { scheduler, service_account: account } = cluster;
  const username = section.service_account_username ?? null;
  const dataTransfer = buildTransfer(parts, questions);
  return {
    name: cluster.name,
    ssh: buildSsh(parts, questions),
    scheduler: {
      type: scheduler.type,
      connectionMode: scheduler.connection_mode,
      version: scheduler.version ?? '',
      apiUrl: scheduler.api_url?.replace(/\/+$/, '') ?? null,
      apiVersion: scheduler.api_version ?? null,
      slurmrestd: buildSlurmrestd(parts, questions),
      timeoutMs: (scheduler.timeout ?? schedulerTimeoutSeconds) * 1_000,
      processJobs: buildProcessJobs(section),
      lookupWindowMs: section.job_lookup_window,
    },
    serviceAccount:
      account || username !== null
        ? { clientId: account?.client_id ?? null, secret: account?.secret ?? null, username }
        : null,
    probing: buildProbing(cluster),
    fileSystems: cluster.file_systems.map((fileSystem) => ({
      path: fileSystem.path,
      dataType: fileSystem.data_type,
      defaultWorkDir: fileSystem.default_work_dir,
    })),
    dataOperation: {
      maxOpsFileSizeBytes: cluster.data_operation.max_ops_file_size,
      jobDirectives: cluster.data_operation.datatransfer_jobs_directives,
      dataTransfer,
    },
    transfers: {
      mover: section.transfers.mover,
      bucketPrefix: section.transfers.bucket_prefix,
      directTo: section.transfers.direct_to.map((name) => name.toLowerCase()),
      node: buildTransferNode(parts, questions),
      unpackBytesMax: section.transfers.unpack_size_max,
      unpackEntriesMax: section.transfers.unpack_entries_max,
    },
    // A system tells of what it can do, and of nothing else.
    firecrest: firecrestView(cluster, dataTransfer !== null),
  };
}

function buildSlurmrestd({ cluster, section }: SystemParts, questions: Questions): SlurmrestdConfig | null {
  const { connection_mode: mode } = cluster.scheduler;
  if (mode === 'ssh') return null;
  const question = {
    key: `goldcrest.systems.${cluster.name}.slurmrestd.jwt_key_file`,
    message: `is required when connection_mode is ${mode}: the key with which the cluster signs tokens`,
    example: {
      goldcrest: { systems: { [cluster.name]: { slurmrestd: { jwt_key_file: '/etc/goldcrest/jwt_hs256.key' } } } },
    },
  };
  return {
    jwtKeyFile: section.slurmrestd.jwt_key_file ?? questions.ask(question, ''),
    caFile: section.slurmrestd.ca_file ?? null,
  };
}

function buildProcessJobs({ process_jobs: jobs }: SystemSection): ProcessJobsConfig {
  return {
    slots: jobs.slots ?? null,
    slotsDirectory: jobs.slots_directory,
    timeLimitSecondsMax: jobs.time_limit_max === undefined ? null : Math.ceil(jobs.time_limit_max / 1_000),
    openPerUserMax: jobs.open_per_user_max,
    keptPerUserMax: jobs.kept_per_user_max,
    keepMs: jobs.keep,
  };
}

function buildSsh({ cluster, section, sharedHostKeys }: SystemParts, questions: Questions): SystemSshConfig {
  const { ssh } = cluster;
  const keysOf = (own: HostKeysSection | undefined, key: 'host_keys' | 'proxy_host_keys', host: string) =>
    buildHostKeys(own ?? sharedHostKeys, { system: cluster.name, key, host }, questions);
  return {
    host: ssh.host,
    port: ssh.port,
    proxy: ssh.proxy_host
      ? {
          host: ssh.proxy_host,
          port: ssh.proxy_port ?? sshPort,
          hostKeys: keysOf(section.proxy_host_keys, 'proxy_host_keys', ssh.proxy_host),
        }
      : null,
    hostKeys: keysOf(section.host_keys, 'host_keys', ssh.host),
    sourceAddress: section.source_address ?? null,
    connectionsMax: ssh.max_clients,
    connectionsPerUserMax: section.connections_per_user_max,
    channelsPerConnectionMax: section.channels_per_connection_max,
    slotWaitMs: section.slot_wait,
    timeout: {
      connectMs: ssh.timeout.connection * 1_000,
      loginMs: ssh.timeout.login * 1_000,
      commandMs: ssh.timeout.command_execution * 1_000,
      idleMs: ssh.timeout.idle_timeout * 1_000,
      keepAliveMs: ssh.timeout.keep_alive * 1_000,
    },
  };
}

function buildTransferNode({ cluster, section, sharedHostKeys }: SystemParts, questions: Questions) {
  const { node, mover } = section.transfers;
  if (node === undefined) return null;
  const path = ['goldcrest', 'systems', cluster.name, 'transfers', 'node'];
  if (mover === 'job') questions.warn(path, 'has no effect: with the mover job such work is done in batch jobs');
  const { host, port } = node;
  const keys = node.host_keys ?? section.host_keys ?? sharedHostKeys;
  return { host, port, hostKeys: buildHostKeys(keys, { system: cluster.name, key: 'host_keys', host }, questions) };
}

function buildHostKeys(
  given: HostKeysSection | undefined,
  where: { system: string; key: 'host_keys' | 'proxy_host_keys'; host: string },
  questions: Questions,
): HostKeysConfig {
  const path = ['goldcrest', 'systems', where.system, where.key];
  if (given?.accept_any) {
    const message = `host keys of ${where.host} are not checked; for development only`;
    questions.warn([...path, 'accept_any'], message);
  } else if (!given || (given.pinned.length === 0 && given.host_ca.length === 0 && !given.known_hosts_file)) {
    const message = `is required: pinned, known_hosts_file or host_ca; the keys of ${where.host} as its site publishes them`;
    const hostKeys = { known_hosts_file: '/etc/goldcrest/known_hosts' };
    const example = { goldcrest: { systems: { [where.system]: { [where.key]: hostKeys } } } };
    questions.ask({ key: path.join('.'), message, example }, null);
  }
  return {
    pinned: given?.pinned ?? [],
    knownHostsFile: given?.known_hosts_file ?? null,
    hostCa: given?.host_ca ?? [],
    acceptAny: given?.accept_any ?? false,
  };
}

function buildProbing({ probing }: ClusterSettings): ProbingConfig {
  const services = Object.entries(probing.services ?? {}).flatMap(([service, probe]) =>
    probe ? [[service, { timeoutMs: probe.timeout * 1_000 }] as const] : [],
  );
  return {
    intervalMs: probing.interval_check * 1_000,
    services: probing.services ? Object.fromEntries(services) : null,
  };
}

function buildTransfer(
  { cluster, section: { transfers, wormhole }, sealingKeys, index }: SystemParts,
  questions: Questions,
): DataOperationConfig['dataTransfer'] {
  const transfer = cluster.data_operation.data_transfer;
  if (!transfer) return null;
  const refuse = (key: string, message: string) =>
    questions.refuse(['goldcrest', 'systems', cluster.name, 'transfers', key], message);
  const without = (message: string): null => {
    questions.warn(['clusters', index, 'data_operation', 'data_transfer'], `has no effect: ${message}`);
    return null;
  };
  const sealing = 'it needs goldcrest.tokens.sealing_keys or goldcrest.webhooks.sealing_keys';
  if (transfer.service_type === 'wormhole') {
    if (sealingKeys.length === 0) return without(`a wormhole has secrets; ${sealing}`);
    if (wormhole === undefined) {
      const key = `goldcrest.systems.${cluster.name}.wormhole.command`;
      return without(
        `it takes the command of Magic Wormhole on the host of transfers; where it is, say so with ${key}`,
      );
    }
    return {
      type: 'wormhole',
      command: wormhole.command,
      mailboxUrl: wormhole.mailbox_url ?? null,
      transitRelay: wormhole.transit_relay ?? null,
      waitTimeoutMs: wormhole.wait_timeout,
      sealingKeys,
    };
  }
  if (transfer.service_type === 'streamer') {
    if (sealingKeys.length === 0) return without(`a streamer has secrets; ${sealing}`);
    return {
      type: 'streamer',
      pypiIndexUrl: transfer.pypi_index_url ?? null,
      host: transfer.host ?? null,
      portRange: portRange(transfer.port_range),
      publicIps: transfer.public_ips ?? ['localhost'],
      waitTimeoutMs: transfer.wait_timeout * 1_000,
      inboundTransferBytesMax: transfer.inbound_transfer_limit,
      sealingKeys,
    };
  }
  if (transfers.address_style === 'virtual-host' && transfer.tenant) {
    refuse('address_style', 'must be path where the store has tenants: `tenant:bucket` is no host name');
  }
  if (transfers.encryption_key_id !== undefined && transfers.encryption !== 'aws:kms') {
    refuse('encryption_key_id', 'is the key of aws:kms, which `encryption` does not say');
  }
  return {
    type: 's3',
    name: transfer.name,
    privateUrl: transfer.private_url,
    publicUrl: transfer.public_url,
    accessKeyId: transfer.access_key_id,
    secretAccessKey: transfer.secret_access_key,
    region: transfer.region,
    ttlSeconds: transfer.ttl,
    tenant: transfer.tenant ?? null,
    multipart: {
      partSizeBytesMax: transfer.multipart.max_part_size,
      parallelRuns: transfer.multipart.parallel_runs,
      useSplit: transfer.multipart.use_split,
      tmpFolder: transfer.multipart.tmp_folder,
    },
    bucketLifecycleDays: transfer.bucket_lifecycle_configuration.days,
    addressStyle: transfers.address_style,
    encryption:
      transfers.encryption === 'none'
        ? null
        : { algorithm: transfers.encryption, keyId: transfers.encryption_key_id ?? null },
    corsOrigins: transfers.cors_origins,
  };
}
