/**
 * What `GET /status/systems` says about a system besides its health, spelled as FirecREST v2 spells it, its three
 * pockets of snake_case included. Secrets are masked as there.
 */
import type { ClusterSettings } from './schema-file.ts';

type DataType = 'users' | 'store' | 'archive' | 'apps' | 'scratch' | 'project';
type Probed = 'ssh' | 'filesystem' | 'scheduler' | 's3';

/** A system as `GET /status/systems` spells it, without `servicesHealth` and `lastHealthCheck`. Durations in seconds. */
export interface FirecrestSystemView {
  name: string;
  ssh: {
    host: string;
    port: number;
    proxyHost: string | null;
    proxyPort: number | null;
    maxClients: number;
    timeout: { connection: number; login: number; commandExecution: number; idleTimeout: number; keepAlive: number };
  };
  scheduler: {
    type: 'slurm' | 'pbs' | 'process';
    connectionMode: 'ssh' | 'rest' | 'hybrid';
    version: string;
    apiUrl: string | null;
    apiVersion: string | null;
    timeout: number | null;
  };
  probing: { services: { [service in Probed]?: { timeout: number } } | null; intervalCheck: number };
  fileSystems: { path: string; dataType: DataType; defaultWorkDir: boolean }[];
  dataOperation: {
    datatransfer_jobs_directives: string[];
    max_ops_file_size: number;
    data_transfer: FirecrestS3View | FirecrestStreamerView | FirecrestWormholeView | null;
  };
}

export interface FirecrestS3View {
  serviceType: 's3';
  name: string;
  /** Masked. */
  privateUrl: string;
  publicUrl: string;
  /** Masked. */
  accessKeyId: string;
  /** Masked. */
  secretAccessKey: string;
  region: string;
  ttl: number;
  tenant: string | null;
  multipart: { use_split: boolean; max_part_size: number; parallel_runs: number; tmp_folder: string };
  bucketLifecycleConfiguration: { days: number };
}

export interface FirecrestStreamerView {
  serviceType: 'streamer';
  pypiIndexUrl: string | null;
  host: string | null;
  portRange: [number, number];
  publicIps: string[] | null;
  waitTimeout: number;
  inboundTransferLimit: number;
}

export interface FirecrestWormholeView {
  serviceType: 'wormhole';
  pypiIndexUrl: string | null;
}

const masked = '**********';

/** The view of a cluster. */
export function firecrestView(cluster: ClusterSettings, hasTransfers: boolean): FirecrestSystemView {
  const { ssh, scheduler, probing, data_operation: operation } = cluster;
  return {
    name: cluster.name,
    ssh: {
      host: ssh.host,
      port: ssh.port,
      proxyHost: ssh.proxy_host ?? null,
      proxyPort: ssh.proxy_port ?? null,
      maxClients: ssh.max_clients,
      timeout: {
        connection: ssh.timeout.connection,
        login: ssh.timeout.login,
        commandExecution: ssh.timeout.command_execution,
        idleTimeout: ssh.timeout.idle_timeout,
        keepAlive: ssh.timeout.keep_alive,
      },
    },
    scheduler: {
      type: scheduler.type,
      connectionMode: scheduler.connection_mode,
      version: scheduler.version ?? '',
      apiUrl: scheduler.api_url ?? null,
      apiVersion: scheduler.api_version ?? null,
      timeout: scheduler.timeout,
    },
    probing: { services: probedServices(probing.services), intervalCheck: probing.interval_check },
    fileSystems: cluster.file_systems.map((fileSystem) => ({
      path: fileSystem.path,
      dataType: fileSystem.data_type,
      defaultWorkDir: fileSystem.default_work_dir,
    })),
    dataOperation: {
      datatransfer_jobs_directives: operation.datatransfer_jobs_directives,
      max_ops_file_size: operation.max_ops_file_size,
      data_transfer: hasTransfers ? transferView(operation.data_transfer ?? null) : null,
    },
  };
}

function probedServices(services: ClusterSettings['probing']['services']): FirecrestSystemView['probing']['services'] {
  if (!services) return null;
  const { ssh, filesystem, scheduler, s3 } = services;
  return {
    ...(ssh ? { ssh: { timeout: ssh.timeout } } : {}),
    ...(filesystem ? { filesystem: { timeout: filesystem.timeout } } : {}),
    ...(scheduler ? { scheduler: { timeout: scheduler.timeout } } : {}),
    ...(s3 ? { s3: { timeout: s3.timeout } } : {}),
  };
}

type TransferSettings = NonNullable<ClusterSettings['data_operation']['data_transfer']>;

function transferView(transfer: TransferSettings | null): FirecrestSystemView['dataOperation']['data_transfer'] {
  if (transfer === null) return null;
  if (transfer.service_type === 'wormhole') {
    return { serviceType: 'wormhole', pypiIndexUrl: transfer.pypi_index_url ?? null };
  }
  if (transfer.service_type === 'streamer') {
    return {
      serviceType: 'streamer',
      pypiIndexUrl: transfer.pypi_index_url ?? null,
      host: transfer.host ?? null,
      portRange: portRange(transfer.port_range),
      publicIps: transfer.public_ips ?? null,
      waitTimeout: transfer.wait_timeout,
      inboundTransferLimit: transfer.inbound_transfer_limit,
    };
  }
  return {
    serviceType: 's3',
    name: transfer.name,
    privateUrl: masked,
    publicUrl: transfer.public_url,
    accessKeyId: masked,
    secretAccessKey: masked,
    region: transfer.region,
    ttl: transfer.ttl,
    tenant: transfer.tenant ?? null,
    multipart: { ...transfer.multipart },
    bucketLifecycleConfiguration: { days: transfer.bucket_lifecycle_configuration.days },
  };
}

/** The two ports of a checked list. */
export function portRange([first = 0, last = 0]: readonly number[]): [number, number] {
  return [first, last];
}
