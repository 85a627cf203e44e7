/** The lab's store as a configuration has it. */
import type { S3Facts } from '../../lab/parts/s3.ts';
import type { S3Config } from '../../shared/platform/config/data-transfer.ts';
import { Secret } from '../../shared/platform/secret.ts';

/** Clients reach it by a name, the cluster by an address. */
export function stagingConfig(s3: S3Facts, over: Partial<S3Config> = {}): S3Config {
  return {
    type: 's3',
    name: 'lab',
    privateUrl: new Secret(s3.endpoint),
    publicUrl: s3.endpoint.replace('127.0.0.1', 'localhost'),
    accessKeyId: new Secret(s3.accessKeyId),
    secretAccessKey: new Secret(s3.secretAccessKey),
    region: s3.region,
    ttlSeconds: 600,
    tenant: null,
    multipart: { partSizeBytesMax: 2 ** 30, parallelRuns: 8, useSplit: false, tmpFolder: 'tmp' },
    bucketLifecycleDays: 3,
    addressStyle: 'path',
    encryption: null,
    corsOrigins: [],
    ...over,
  };
}
