/** How large files of a system move, as the rest of the code sees it. */
import type { SealingKey } from '../sealing.ts';
import type { Secret } from '../secret.ts';

export interface S3Config {
  type: 's3';
  name: string;
  /** Endpoint the worker and the cluster use. */
  privateUrl: Secret;
  /** Endpoint clients use; presigned URLs name it. */
  publicUrl: string;
  accessKeyId: Secret;
  secretAccessKey: Secret;
  region: string;
  /** Life of presigned URLs; at most 7 days (SigV4). */
  ttlSeconds: number;
  /** Ceph tenant, put before the bucket name; null: none. */
  tenant: string | null;
  multipart: { partSizeBytesMax: number; parallelRuns: number; useSplit: boolean; tmpFolder: string };
  /** Objects expire after so many days. */
  bucketLifecycleDays: number;
  /** `path`: the bucket is the first part of the path; `virtual-host`: it stands before the host name. */
  addressStyle: 'path' | 'virtual-host';
  /** What the store encrypts objects with; null: as it does by itself. */
  encryption: { algorithm: 'AES256' | 'aws:kms'; keyId: string | null } | null;
  /** Origins of web pages that may use signed addresses; empty: the CORS rules of buckets are left alone. */
  corsOrigins: string[];
}

export interface StreamerConfig {
  type: 'streamer';
  pypiIndexUrl: string | null;
  host: string | null;
  /** First and last port, both included. */
  portRange: [number, number];
  publicIps: string[];
  waitTimeoutMs: number;
  inboundTransferBytesMax: number;
  /** Of the secrets that clients are given; at least one. */
  sealingKeys: SealingKey[];
}

/** Transfers by the command of Magic Wormhole on the login or data-transfer node. */
export interface WormholeConfig {
  type: 'wormhole';
  /** Its path, or a name that is looked for. */
  command: string;
  /** Address of the mailbox server, and of the transit relay (`tcp:host:port`); null: the command's own. */
  mailboxUrl: string | null;
  transitRelay: string | null;
  waitTimeoutMs: number;
  /** Of codes; at least one. */
  sealingKeys: SealingKey[];
}
