/** What stores and sites want besides: buckets in host names, tenants, regions of their own, encryption, browsers. */

import { randomUUID } from 'node:crypto';
import dns from 'node:dns';
import { GetBucketCorsCommand, HeadObjectCommand, PutBucketCorsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { stagingKeyId } from '../../lab/ceph-configuration.ts';
import { runCommand } from '../../lab/run-command.ts';
import type { S3Config } from '../../shared/platform/config/data-transfer.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { bucketName } from '../../shared/staging/bucket-name.ts';
import { createStaging, type Staging } from '../../shared/staging/staging.ts';
import { stagingConfig } from './staging-config.ts';

const { s3 } = inject('lab');
const open: Staging[] = [];
let client: S3Client;

beforeAll(() => {
  const { endpoint, region, accessKeyId, secretAccessKey } = s3;
  client = new S3Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true });
});

afterEach(() => {
  vi.restoreAllMocks();
  for (const staging of open.splice(0)) staging.close();
});

afterAll(() => client?.destroy());

function stagingWith(over: Partial<S3Config>): Staging {
  const staging = createStaging(stagingConfig(s3, over));
  open.push(staging);
  return staging;
}

/** A bucket that no other test has. */
function newName(): string {
  return bucketName(`Odd.${randomUUID()}`, 'test-');
}

/** The whole way of a file that is uploaded in one part and read again; gives the hosts of the two addresses. */
async function roundTrip(staging: Staging, bucket: string): Promise<{ hosts: string[]; key: string }> {
  await staging.prepareBucket(bucket);
  const object = { bucket, key: 'id/two words' };
  const upload = { ...object, uploadId: await staging.beginUpload(object) };
  const [partUrl = ''] = await staging.signParts(upload, 1, 1, 'client');
  const put = await fetch(partUrl, { method: 'PUT', body: 'hello' });
  expect(put.status, await put.text()).toBe(200);
  await staging.completeUpload(upload, [put.headers.get('etag') ?? '']);
  expect(await staging.look(object)).toMatchObject({ sizeBytes: 5 });
  const downloadUrl = await staging.signDownload(object, 'cluster');
  expect(await (await fetch(downloadUrl)).text()).toBe('hello');
  for (const url of [partUrl, downloadUrl]) expect(new URL(url).searchParams.get('X-Amz-SignedHeaders')).toBe('host');
  return { hosts: [partUrl, downloadUrl].map((url) => new URL(url).host), key: object.key };
}

describe('a store', () => {
  it('with a name for each bucket is addressed so, by workers, clients and the cluster', async () => {
    // RFC 6761: these names are loopback. Not every resolver knows.
    const lookup = dns.lookup as unknown as (name: string, options: object, done: unknown) => void;
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string, options: object, done: unknown) =>
      lookup(name.endsWith('.localhost') ? 'localhost' : name, options, done)) as never);
    const endpoint = s3.endpoint.replace('127.0.0.1', 'localhost');
    const bucket = newName();
    const staging = stagingWith({ addressStyle: 'virtual-host', privateUrl: new Secret(endpoint) });
    const { hosts } = await roundTrip(staging, bucket);
    expect(hosts.map((host) => host.split('.')[0])).toEqual([bucket, bucket]);
  });

  it('with tenants keeps a bucket in the one that is configured', async () => {
    const keys = { accessKeyId: randomUUID(), secretAccessKey: randomUUID() };
    const words = ['--tenant', 'hpc', '--uid', 'goldcrest', '--display-name', 'goldcrest'];
    const secrets = ['--access-key', keys.accessKeyId, '--secret-key', keys.secretAccessKey];
    await runCommand('radosgw-admin', ['user', 'create', ...words, ...secrets], {
      env: { CEPH_CONF: s3.confPath },
      timeoutMs: 60_000,
    });
    const bucket = newName();
    const staging = stagingWith({
      tenant: 'hpc',
      accessKeyId: new Secret(keys.accessKeyId),
      secretAccessKey: new Secret(keys.secretAccessKey),
    });
    await roundTrip(staging, bucket);
    const asked = ['bucket', 'stats', '--bucket', `hpc/${bucket}`];
    const { stdout } = await runCommand('radosgw-admin', asked, { env: { CEPH_CONF: s3.confPath } });
    expect(JSON.parse(stdout)).toMatchObject({ tenant: 'hpc', bucket });
  });

  it.each(['eu-central-2', 'cluster-one'])(
    'takes a bucket for the region %s, which it does not know',
    async (region) => {
      const { hosts } = await roundTrip(stagingWith({ region }), newName());
      expect(hosts.map((host) => host.split(':')[0])).toEqual(['localhost', '127.0.0.1']);
    },
  );

  it('that is told to encrypts with the key that is named, and no address needs a header for it', async () => {
    const bucket = newName();
    const staging = stagingWith({ encryption: { algorithm: 'aws:kms', keyId: stagingKeyId } });
    const { key } = await roundTrip(staging, bucket);
    const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    expect([head.ServerSideEncryption, head.SSEKMSKeyId]).toEqual(['aws:kms', stagingKeyId]);
    // It tells nothing of the bytes then.
    expect(await staging.look({ bucket, key })).toMatchObject({ etag: null });
  });
});

describe('pages of the origins that are configured', () => {
  const origin = 'https://portal.example.org';
  const preflight = (url: string, from: string) =>
    fetch(url, { method: 'OPTIONS', headers: { origin: from, 'access-control-request-method': 'PUT' } });

  it('may send parts and see their ETags; others may not, and rules of others stay', async () => {
    const bucket = newName();
    await stagingWith({}).prepareBucket(bucket);
    const own = { ID: 'own', AllowedOrigins: ['https://other.example'], AllowedMethods: ['GET'] };
    await client.send(new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: { CORSRules: [own] } }));
    const staging = stagingWith({ corsOrigins: [origin] });
    await staging.prepareBucket(bucket);
    await stagingWith({ corsOrigins: [origin] }).prepareBucket(bucket);
    const { CORSRules } = await client.send(new GetBucketCorsCommand({ Bucket: bucket }));
    expect(CORSRules?.map(({ ID }) => ID)).toEqual(['own', 'goldcrest-staging']);
    const object = { bucket, key: 'k' };
    const upload = { ...object, uploadId: await staging.beginUpload(object) };
    const [url = ''] = await staging.signParts(upload, 1, 1, 'client');
    const allowed = await preflight(url, origin);
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([200, origin]);
    expect((await preflight(url, 'https://evil.example')).status).toBe(403);
    const put = await fetch(url, { method: 'PUT', body: 'x', headers: { origin } });
    expect(put.headers.get('access-control-expose-headers')).toMatch(/ETag/i);
    await staging.abortUploads(object);
  });

  it('are none where none are configured', async () => {
    const bucket = newName();
    await stagingWith({}).prepareBucket(bucket);
    await expect(client.send(new GetBucketCorsCommand({ Bucket: bucket }))).rejects.toMatchObject({
      name: 'NoSuchCORSConfiguration',
    });
  });
});
