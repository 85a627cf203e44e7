/** The staging store against a real S3 server: buckets, addresses, uploads, and what is left alone. */
import { randomUUID } from 'node:crypto';
import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { S3Config } from '../../shared/platform/config/data-transfer.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { bucketName } from '../../shared/staging/bucket-name.ts';
import { createStaging, type Staging } from '../../shared/staging/staging.ts';
import { stagingConfig } from './staging-config.ts';

const { s3 } = inject('lab');
let staging: Staging;
let client: S3Client;

const configOf = (over: Partial<S3Config> = {}) => stagingConfig(s3, over);

beforeAll(() => {
  staging = createStaging(configOf());
  const { endpoint, region, accessKeyId, secretAccessKey } = s3;
  client = new S3Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true });
});

afterAll(() => {
  staging?.close();
  client?.destroy();
});

/** A bucket of a user whose name no bucket can have. */
async function newBucket(): Promise<string> {
  const bucket = bucketName(`Odd_User.${randomUUID()}`, 'test-');
  await staging.prepareBucket(bucket);
  return bucket;
}

describe('a bucket', () => {
  it('of any user expires what is left in it, uploads that were never completed too', async () => {
    const Bucket = await newBucket();
    const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
    expect(Rules).toMatchObject([
      { Status: 'Enabled', Expiration: { Days: 3 }, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 } },
    ]);
  });

  it('that has an expiry of its own keeps it', async () => {
    const Bucket = await newBucket();
    const own = { ID: 'own', Status: 'Enabled' as const, Filter: { Prefix: '' }, Expiration: { Days: 77 } };
    await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [own] } }));
    const another = createStaging(configOf());
    await another.prepareBucket(Bucket);
    await another.prepareBucket(Bucket);
    another.close();
    const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
    expect(Rules?.map(({ ID, Expiration }) => [ID, Expiration?.Days])).toEqual([['own', 77]]);
  });
});

describe('an address', () => {
  it('names the endpoint of whom it is for, and signs nothing that the sender would have to send', async () => {
    const object = { bucket: 'some-bucket', key: "id/it's ü.txt" };
    const upload = { ...object, uploadId: 'u' };
    const [forClient = ''] = await staging.signParts(upload, 1, 1, 'client');
    const [forCluster = ''] = await staging.signParts(upload, 1, 1, 'cluster');
    expect([new URL(forClient).hostname, new URL(forCluster).hostname]).toEqual(['localhost', '127.0.0.1']);
    const others = [await staging.signCompletion(upload), await staging.signDownload(object, 'client')];
    for (const url of [forClient, forCluster, ...others]) {
      const query = new URL(url).searchParams;
      expect([query.get('X-Amz-SignedHeaders'), query.get('X-Amz-Expires')]).toEqual(['host', '600']);
      expect(url).not.toMatch(/checksum|[^\x21-\x7e]|["\\]/i);
    }
  });

  it('is of no use when its time is up, or for another part', async () => {
    const bucket = await newBucket();
    const short = createStaging(configOf({ ttlSeconds: 1 }));
    const object = { bucket, key: 'k' };
    const upload = { ...object, uploadId: await staging.beginUpload(object) };
    const [url = ''] = await short.signParts(upload, 1, 1, 'cluster');
    short.close();
    expect((await fetch(url.replace('partNumber=1', 'partNumber=2'), { method: 'PUT', body: 'x' })).status).toBe(403);
    await new Promise((resolve) => setTimeout(resolve, 2_500)); // the signature's clock counts whole seconds
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
    await staging.abortUploads(object);
  });

  it('a thousand of them are signed a few at a time, so that others have their turn', async () => {
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    count();
    const urls = await staging.signParts({ bucket: 'b', key: 'k', uploadId: 'u' }, 1, 1_000, 'client');
    isOver = true;
    expect(new Set(urls).size).toBe(1_000);
    expect(turns).toBeGreaterThanOrEqual(200);
  });
});

describe('an upload in parts', () => {
  it.each([
    ['an empty part', ''],
    ['a part', 'hello'],
  ])('of %s is there when it is completed, and only then', async (_what, body) => {
    const object = { bucket: await newBucket(), key: 'id/two words' };
    const upload = { ...object, uploadId: await staging.beginUpload(object) };
    const [url = ''] = await staging.signParts(upload, 1, 1, 'client');
    const put = await fetch(url, { method: 'PUT', body });
    expect(put.status).toBe(200);
    expect(await staging.look(object)).toBeNull();
    const etags = [put.headers.get('etag') ?? ''];
    await staging.completeUpload(upload, etags);
    await staging.completeUpload(upload, etags);
    expect(await staging.look(object)).toMatchObject({ sizeBytes: body.length });
    expect(await (await fetch(await staging.signDownload(object, 'client'))).text()).toBe(body);
    await staging.removeObject(object);
    await staging.removeObject(object);
    await staging.abortUploads(object);
    expect(await staging.look(object)).toBeNull();
  });
});

it('a store that refuses and one that is away are told apart, and nothing of them reaches the caller', async () => {
  const refused = createStaging(configOf({ secretAccessKey: new Secret('wrong') }));
  await expect(refused.prepareBucket('some-bucket')).rejects.toMatchObject({ code: 'StagingFailed' });
  refused.close();
  const away = createStaging(configOf({ privateUrl: new Secret('http://127.0.0.1:9') }));
  await expect(away.look({ bucket: 'b', key: 'k' })).rejects.toMatchObject({
    code: 'StagingUnavailable',
    message: 'The staging store does not answer.',
  });
  away.close();
});
