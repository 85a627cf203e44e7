/**
 * The configuration as the rest of the code sees it: every default applied, every secret wrapped, every duration in
 * milliseconds and every size in bytes. How the file is written is another matter, see `schema-*.ts`; the keys that
 * FirecREST v2 knows are listed in its own configuration reference.
 */

import type { ProbedService } from '../../health/system-health.ts';
import type { Lane } from '../../operations/lanes.ts';
import type { ConsentLives } from '../../tasks/consent.ts';
import type { TargetRules } from '../../webhooks/target-rules.ts';
import type { SealingKey } from '../sealing.ts';
import type { Secret } from '../secret.ts';
import type { AuthorizationConfig } from './authorization-config.ts';
import type { S3Config, StreamerConfig, WormholeConfig } from './data-transfer.ts';
import type { FirecrestSystemView } from './firecrest-view.ts';
import type { LogsConfig, WatchesConfig } from './job-notices.ts';
import type { MetricsConfig } from './metrics.ts';
import type { ProcessJobsConfig } from './process-jobs.ts';
import type { TasksConfig } from './tasks.ts';

/** The whole configuration of an API or worker process. */
export interface Config {
  api: ApiConfig;
  worker: WorkerConfig;
  redis: RedisConfig;
  tasks: TasksConfig;
  consent: ConsentLives;
  health: HealthConfig;
  events: EventsConfig;
  webhooks: WebhooksConfig;
  audit: AuditConfig;
  watches: WatchesConfig;
  logs: LogsConfig;
  authentication: AuthenticationConfig;
  authorization: AuthorizationConfig;
  sshCredentials: SshCredentialsConfig;
  tokens: TokensConfig;
  /** In the order of the file; names are unique and lower-case. */
  systems: SystemConfig[];
  log: LogConfig;
  metrics: MetricsConfig;
}

export interface ApiConfig {
  host: string;
  /** 0 lets the operating system choose. */
  port: number;
  /** Address under which clients reach the API, without a trailing slash; null: derived from each request. */
  publicUrl: string | null;
  /** Path prefix that a gateway puts in front, without a trailing slash; empty for none. */
  rootPath: string;
  /** Largest JSON body. An upload is bounded by `maxOpsFileSizeBytes` of its system instead. */
  bodyBytesMax: number;
  /** CIDR of proxies whose X-Forwarded-For is believed. */
  trustedProxies: string[];
  /** Origins whose pages may call the API in a browser. */
  corsOrigins: string[];
  /** Longest time a FirecREST request is held while its task runs. */
  holdMs: number;
  /** How long the process waits for held requests when it is told to stop. */
  drainMs: number;
  /** `servers` of the OpenAPI document; null: the public address. */
  docServers: Record<string, unknown>[] | null;
}

export interface WorkerConfig {
  /** Tasks of one system that one worker runs at the same time. */
  concurrencyPerSystem: number;
  /** Systems this worker serves; null: all. */
  systems: string[] | null;
  /** Kinds of work it does; null: all. */
  lanes: Lane[] | null;
  /** How long running tasks may go on after the process was told to stop. */
  drainMs: number;
  /** Address that the internal HTTP port binds. */
  httpHost: string;
  /** Internal HTTP port for results that do not pass through Redis; 0: any free port. */
  httpPort: number;
  /** Base address under which API processes reach it, without a trailing slash; null: from host and bound port. */
  httpUrl: string | null;
}

export interface RedisConfig {
  /** `redis://` or `rediss://` address; may hold a password. */
  url: Secret;
  /** Prefix of every key, without the colon. */
  keyPrefix: string;
  /** Refuse to start unless Redis runs with `appendfsync always` and `noeviction`. */
  requireDurability: boolean;
}

/** When a probed service counts as broken, and how soon it is looked at again. */
export interface HealthConfig {
  /** Failed probes in a row until a service counts as broken. */
  failuresUntilBroken: number;
  /** From a failed probe to the next, until it counts. */
  recheckMs: number;
  /** Between the probes of a broken service; what is refused for it may be repeated after that. */
  recoveryIntervalMs: number;
}

export interface EventsConfig {
  /** Open streams of one user in one API process; beyond it `TooManyStreams`. */
  streamsPerUserMax: number;
  /** Between two signs of life on a stream. */
  heartbeatMs: number;
}

export interface WebhooksConfig {
  /** The first seals; empty: there are no webhooks. */
  sealingKeys: SealingKey[];
  /** Where webhooks may go. */
  targets: TargetRules;
  /** Empty: names are resolved as the machine does. */
  dnsServers: string[];
  /** Path of PEM certificates; null: those of the system. */
  caFile: string | null;
  /** Of the egress proxy, perhaps with its login; null: none. */
  proxyUrl: Secret | null;
  /** For one attempt. */
  timeoutMs: number;
  /** Attempts of one worker at the same time. */
  atOnceMax: number;
  endpointsPerUserMax: number;
  /** An endpoint that fails for so long is disabled. */
  giveUpAfterMs: number;
}

/** The record of what was asked and done. */
export interface AuditConfig {
  /** For lines of JSON; null: none are written to disk. */
  directory: string | null;
  /** Whether the lines go to standard output. */
  isToStdout: boolean;
  /** Newest records that Redis keeps. */
  recordsMax: number;
  /** Of the chain; null: hashes without a key. */
  key: Secret | null;
  /** Usernames, for the built-in policy. */
  administrators: string[];
}

export interface AuthenticationConfig {
  /** At least one. */
  issuers: IssuerConfig[];
}

export interface IssuerConfig {
  /** The `iss` claim, compared exactly. */
  issuer: string;
  /** http, https or file addresses of key sets; empty: found by OpenID discovery at the issuer. */
  jwksUrls: string[];
  /** One of these must be in `aud`; empty only when `acceptAnyAudience` is true. */
  audiences: string[];
  /** A named development choice that `loadConfig` warns about. */
  acceptAnyAudience: boolean;
  /** Signature algorithms (RFC 7518 names) that are accepted. */
  algorithms: string[];
  /** The claim that holds the cluster username. */
  usernameClaim: string;
  /** Cluster username by the value of that claim; empty: no table. */
  usernames: Readonly<Record<string, string>>;
  /** Regular expression for the whole claim, whose one group is the cluster username; null: none. */
  usernamePattern: string | null;
  /** All of these must be in `scope`. */
  requiredScopes: string[];
  clockSkewSeconds: number;
  /** A token that expires sooner than this is refused. */
  minimumLifeSeconds: number;
  /** Proof of possession (RFC 9449): `allowed`: tokens that are bound to a key come with a proof; `required`: all must. */
  dpop: 'off' | 'allowed' | 'required';
  /** Whether proofs must carry a nonce of ours. */
  dpopNonce: boolean;
  /** Token endpoint: shown in the OpenAPI document and used by service accounts; null: unknown. */
  tokenUrl: string | null;
  tokenEndpointAuthMethod: 'client_secret_basic' | 'client_secret_post';
  /** Scopes and their descriptions, for the OpenAPI document only. */
  scopes: Record<string, string>;
}

/** How the worker logs in as the user. */
export type SshCredentialsConfig =
  | { type: 'static-keys'; keys: Record<string, StaticKey> }
  | {
      type: 'user-ca';
      /** In the worker's own memory in OpenSSH format, or with an ssh-agent that is asked to sign. */
      key: { privateKey: Secret; passphrase: Secret | null } | { agentSocket: string; publicKey: string };
      /** Life of a certificate. */
      validitySeconds: number;
      /** `source-address` of the certificates: addresses or CIDR networks; null: not restricted. */
      sourceAddress: string | null;
      /** The same of the certificates for jump hosts. */
      jumpSourceAddress: string | null;
    }
  | {
      /** `ssh-ca`: signs a key made by the worker. `ssh-service`: hands out keys. Both need the user's token. */
      type: 'ssh-ca' | 'ssh-service';
      url: string;
      maxConnections: number;
    };

/** How access tokens are kept where SSH credentials are given to a token only. */
export interface TokensConfig {
  /** The first seals, all open; empty where no token is kept. */
  sealingKeys: SealingKey[];
}

export interface StaticKey {
  /** PEM or OpenSSH text of the private key. */
  privateKey: Secret;
  passphrase: Secret | null;
  /** OpenSSH user certificate, one line; null: none. */
  certificate: string | null;
}

export interface SystemConfig {
  name: string;
  ssh: SystemSshConfig;
  scheduler: SchedulerConfig;
  /** null: probes only where they need no login. */
  serviceAccount: ServiceAccountConfig | null;
  probing: ProbingConfig;
  fileSystems: FileSystemConfig[];
  dataOperation: DataOperationConfig;
  transfers: TransfersConfig;
  /** What `GET /status/systems` says about the system, besides its health. Holds no secret. */
  firecrest: FirecrestSystemView;
}

export interface SystemSshConfig {
  host: string;
  port: number;
  proxy: { host: string; port: number; hostKeys: HostKeysConfig } | null;
  hostKeys: HostKeysConfig;
  /** `source-address` of certificates for the login node; null: that of `sshCredentials`. */
  sourceAddress: string | null;
  /** Connections to the system over all users (FirecREST's `max_clients`). */
  connectionsMax: number;
  connectionsPerUserMax: number;
  /** Channels in flight on one connection, SFTP channels included; stay below sshd's `MaxSessions`. */
  channelsPerConnectionMax: number;
  /** Longest wait for a channel slot. */
  slotWaitMs: number;
  timeout: { connectMs: number; loginMs: number; commandMs: number; idleMs: number; keepAliveMs: number };
}

/** `pinned` or `knownHostsFile` is given, unless `acceptAny`. */
export interface HostKeysConfig {
  /** Public keys (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`). */
  pinned: string[];
  knownHostsFile: string | null;
  /** Public keys, or fingerprints, of authorities that sign host certificates. */
  hostCa: string[];
  /** A named development choice that `loadConfig` warns about. */
  acceptAny: boolean;
}

export interface SchedulerConfig {
  /** `process` is Goldcrest's own: no batch system, a process group on the host. */
  type: 'slurm' | 'pbs' | 'process';
  connectionMode: 'ssh' | 'rest' | 'hybrid';
  version: string;
  /** Given where `connectionMode` is `rest` or `hybrid`. */
  apiUrl: string | null;
  /** null: probed. */
  apiVersion: string | null;
  /** Given where `connectionMode` is `rest` or `hybrid`. */
  slurmrestd: SlurmrestdConfig | null;
  timeoutMs: number;
  /** Looked at where `type` is `process`. */
  processJobs: ProcessJobsConfig;
  /** Look-ups of jobs share one query so long; 0: each has its own. */
  lookupWindowMs: number;
}

export interface SlurmrestdConfig {
  /** Path of the file with the key that signs tokens, which is read as bytes. */
  jwtKeyFile: string;
  /** Path of PEM certificates; null: those of the system. */
  caFile: string | null;
}

/** As whom probes log in: an OAuth client, a cluster user named outright, or both. */
export interface ServiceAccountConfig {
  /** OAuth client that gets the account's token; null together with `secret`. */
  clientId: string | null;
  secret: Secret | null;
  /** Cluster user; null: the user of the account's token. */
  username: string | null;
}

export interface ProbingConfig {
  intervalMs: number;
  /** Only services listed here are probed; null: none. */
  services: { [service in ProbedService]?: { timeoutMs: number } } | null;
}

export interface FileSystemConfig {
  /** Absolute and normalised. */
  path: string;
  dataType: 'users' | 'store' | 'archive' | 'apps' | 'scratch' | 'project';
  defaultWorkDir: boolean;
}

export interface TransfersConfig {
  /** `command`: on the login node; `job`: as a batch job; `stream`: through a worker. */
  mover: 'command' | 'job' | 'stream';
  /** Begins the name of every staging bucket. */
  bucketPrefix: string;
  /** Systems whose staging store this one reaches; names in lower case. */
  directTo: string[];
  /** What one archive may be unpacked to. */
  unpackBytesMax: number;
  unpackEntriesMax: number;
  /** Where it is done in place of the login node; null: there. Not for batch jobs. */
  node: TransferNodeConfig | null;
}

/** A data-transfer node: it has the file systems of the login node, homes among them. */
export interface TransferNodeConfig {
  host: string;
  port: number;
  hostKeys: HostKeysConfig;
}

export interface DataOperationConfig {
  /** Largest file that `ops/upload`, `ops/download` and command output may hold. */
  maxOpsFileSizeBytes: number;
  /** Lines put on top of a transfer job's script; `{account}` stands for the account. */
  jobDirectives: string[];
  /** Null: none, or none that this version serves. */
  dataTransfer: S3Config | StreamerConfig | WormholeConfig | null;
}

export interface LogConfig {
  level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** FirecREST's tracing log: one line of facts a request. */
  tracing: boolean;
  /** Request headers copied into the tracing log: header name → field name. */
  requestHeaders: { input: string; output: string }[];
}
