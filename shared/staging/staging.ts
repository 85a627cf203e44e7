/**
 * The S3 store in which bytes are parked on their way to or from a cluster. The API signs addresses for clients, the
 * workers act on the store and sign addresses for the cluster. Signed addresses are secrets: they are made when they are
 * handed out and kept nowhere.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketCorsCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutBucketCorsCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { S3Config } from '../platform/config/data-transfer.ts';
import { qualifiedBucket } from './bucket-name.ts';
import { refusesOtherBytes, type SignedPut, signHeldPart } from './held-digest.ts';
import { hasName, storeFault } from './store-fault.ts';

/** An object, present or to come. `bucket` is without its tenant. */
export interface StagedObject {
  bucket: string;
  key: string;
}

/** An upload in parts that was begun and not completed. */
export interface StagedUpload extends StagedObject {
  uploadId: string;
}

/** For whom an address is signed: `client` by the public endpoint, `cluster` by the private one. */
export type Audience = 'client' | 'cluster';

/** What the store says of an object. */
export interface ObjectFacts {
  sizeBytes: number;
  /** Without quotes; null where it does not tell of the bytes, since they are encrypted with keys of a service or a client. */
  etag: string | null;
}

/** May be used concurrently. What talks to the store throws StagingUnavailable (it may pass) or StagingFailed. */
export interface Staging {
  /** The bucket is there and expires what is left in it; an expiry that somebody set is left as it is. */
  prepareBucket(bucket: string): Promise<void>;
  beginUpload(object: StagedObject): Promise<string>;
  /** Parts in order of their numbers. Safe to run twice. */
  completeUpload(upload: StagedUpload, etags: readonly string[]): Promise<void>;
  /**
   * Removes what was uploaded of parts to that key, in whichever upload: a worker may have been lost before it could say
   * which one it had begun. What was completed is left alone.
   */
  abortUploads(object: StagedObject): Promise<void>;
  removeObject(object: StagedObject): Promise<void>;
  /** Null: there is none (yet). */
  look(object: StagedObject): Promise<ObjectFacts | null>;
  /** Addresses to PUT parts `first` … `first + count - 1` to; made in slices, so that others get their turn. */
  signParts(upload: StagedUpload, first: number, count: number, audience: Audience): Promise<string[]>;
  /** Whether the store itself holds parts against their SHA-256; asked of it now and then. */
  holdsDigests({ bucket }: Pick<StagedObject, 'bucket'>): Promise<boolean>;
  /** A part that such a store takes only if it is of that many bytes and that digest; for the private endpoint, at once. */
  signHeldPart(upload: StagedUpload, number: number, part: { sizeBytes: number; sha256: string }): Promise<SignedPut>;
  /** Address to GET the list of the parts that are there, from number `first` on, 1,000 at most. */
  signPartsList(upload: StagedUpload, first: number): Promise<string>;
  /** Address to POST the list of parts to. */
  signCompletion(upload: StagedUpload): Promise<string>;
  /** Address to GET the object from, now or once it is there. */
  signDownload(object: StagedObject, audience: Audience): Promise<string>;
  close(): void;
}

const requestTimeoutMs = 15_000;
/** Addresses signed before others get their turn: a few milliseconds of work. */
const signedPerTurn = 4;
/** What a store was found to do about digests is believed for so long. */
const holdsForMs = 3_600_000;
const corsRuleId = 'goldcrest-staging';
/** Buckets that are known to be prepared; beyond it all are looked at once more. */
const knownBucketsMax = 10_000;

/** A client for one of the two endpoints. */
function connect(config: S3Config, endpoint: string): S3Client {
  return new S3Client({
    endpoint,
    region: config.region,
    credentials: { accessKeyId: config.accessKeyId.reveal(), secretAccessKey: config.secretAccessKey.reveal() },
    forcePathStyle: config.addressStyle === 'path',
    // A checksum that is signed is one that whoever uses the address must send.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 2,
    requestHandler: {
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true, // it only warns else
      connectionTimeout: 5_000,
    },
  });
}

/** The store of one system. Makes no request; `close` ends its connections. */
export function createStaging(config: S3Config): Staging {
  const client = connect(config, config.privateUrl.reveal());
  const publicClient = connect(config, config.publicUrl);
  const prepared = new Set<string>();
  let holds: { isSo: boolean; until: number } | null = null;
  const signerOf = (audience: Audience): S3Client => (audience === 'client' ? publicClient : client);
  const place = ({ bucket, key }: StagedObject) => ({ Bucket: qualifiedBucket(bucket, config.tenant), Key: key });
  // Parts and the object are encrypted as the upload says, so that signed addresses need no header of it.
  const encryption =
    config.encryption === null
      ? {}
      : {
          ServerSideEncryption: config.encryption.algorithm,
          ...(config.encryption.keyId === null ? {} : { SSEKMSKeyId: config.encryption.keyId }),
        };
  const expiry = { expiresIn: config.ttlSeconds };

  const createBucket = async (bucket: string): Promise<void> => {
    const isDefaultRegion = config.region === 'us-east-1';
    const constraint = { CreateBucketConfiguration: { LocationConstraint: config.region as 'eu-west-1' } };
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket, ...(isDefaultRegion ? {} : constraint) }));
    } catch (error) {
      if (hasName(error, 'BucketAlreadyOwnedByYou')) return;
      // Stores other than Amazon's have regions of their own making.
      if (!hasName(error, 'InvalidLocationConstraint')) throw error;
      const bare = new CreateBucketCommand({ Bucket: bucket });
      // The client would name the region as the constraint once more.
      const options = { step: 'initialize', priority: 'low', name: 'noConstraint' } as const;
      bare.middlewareStack.add((next) => (args) => next({ ...args, input: { Bucket: bucket } }), options);
      await client.send(bare);
    }
  };

  const setExpiry = async (bucket: string): Promise<void> => {
    const known = await client
      .send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }))
      .catch(unless('NoSuchLifecycleConfiguration', null));
    if ((known?.Rules?.length ?? 0) > 0) return;
    const days = config.bucketLifecycleDays;
    const rule = {
      ID: 'goldcrest-staging',
      Status: 'Enabled' as const,
      Filter: { Prefix: '' },
      Expiration: { Days: days },
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: days },
    };
    await client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration: { Rules: [rule] } }),
    );
  };

  /** Rules that somebody else set stay beside ours. */
  const setOrigins = async (bucket: string): Promise<void> => {
    if (config.corsOrigins.length === 0) return;
    const known = await client
      .send(new GetBucketCorsCommand({ Bucket: bucket }))
      .catch(unless('NoSuchCORSConfiguration', null));
    const rule = {
      ID: corsRuleId,
      AllowedOrigins: config.corsOrigins,
      AllowedMethods: ['GET', 'HEAD', 'PUT', 'POST'],
      AllowedHeaders: ['*'],
      ExposeHeaders: ['ETag', 'Content-Length', 'Content-Range'],
      MaxAgeSeconds: 3_600,
    };
    const others = (known?.CORSRules ?? []).filter(({ ID }) => ID !== corsRuleId);
    const rules = { CORSRules: [...others, rule] };
    await client.send(new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: rules }));
  };

  const beginUpload = (object: StagedObject): Promise<string> =>
    withStaging(async () => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...place(object), ...encryption }));
      if (UploadId === undefined) throw new Error('the store named no upload');
      return UploadId;
    });

  return {
    prepareBucket: (bucket) =>
      withStaging(async () => {
        if (prepared.has(bucket)) return;
        const isThere = await client
          .send(new HeadBucketCommand({ Bucket: bucket }))
          .then(() => true, unless('NotFound', false));
        if (!isThere) await createBucket(bucket);
        await setExpiry(bucket);
        await setOrigins(bucket);
        if (prepared.size >= knownBucketsMax) prepared.clear();
        prepared.add(bucket);
      }),
    beginUpload,
    completeUpload: (upload, etags) =>
      withStaging(async () => {
        const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
        const wish = { ...place(upload), UploadId: upload.uploadId, MultipartUpload: { Parts } };
        await client.send(new CompleteMultipartUploadCommand(wish)).catch(async (error: unknown) => {
          // An earlier attempt may have completed it and not lived to say so.
          if (!hasName(error, 'NoSuchUpload')) throw error;
          await client.send(new HeadObjectCommand(place(upload)));
        });
      }),
    abortUploads: (object) =>
      withStaging(async () => {
        const { Bucket, Key } = place(object);
        const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key }));
        for (const { UploadId } of Uploads.filter((upload) => upload.Key === Key)) {
          await client
            .send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
            .catch(unless('NoSuchUpload', undefined));
        }
      }),
    removeObject: (object) =>
      withStaging(async () => {
        await client.send(new DeleteObjectCommand(place(object)));
      }),
    look: (object) =>
      withStaging(async () => {
        const head = await client.send(new HeadObjectCommand(place(object))).catch(unless('NotFound', null));
        if (head === null) return null;
        const isOpaque = /^aws:kms/.test(head.ServerSideEncryption ?? '') || head.SSECustomerAlgorithm !== undefined;
        const etag = isOpaque ? null : (head.ETag ?? '').replaceAll('"', '');
        return { sizeBytes: head.ContentLength ?? 0, etag };
      }),
    async signParts(upload, first, count, audience) {
      const urls: string[] = [];
      for (let number = first; number < first + count; number += 1) {
        const part = new UploadPartCommand({ ...place(upload), UploadId: upload.uploadId, PartNumber: number });
        urls.push(await getSignedUrl(signerOf(audience), part, expiry));
        if (urls.length % signedPerTurn === 0) await endOfTurn();
      }
      return urls;
    },
    async holdsDigests({ bucket }) {
      if (holds !== null && Date.now() < holds.until) return holds.isSo;
      const probe = { bucket, key: `${randomUUID()}/probe` };
      const uploadId = await beginUpload(probe);
      const isSo = await withStaging(() => refusesOtherBytes(client, { ...place(probe), UploadId: uploadId }));
      const wish = { ...place(probe), UploadId: uploadId };
      // What stays of it the bucket's rule takes.
      await client.send(new AbortMultipartUploadCommand(wish)).catch(() => undefined);
      if (isSo !== null) holds = { isSo, until: Date.now() + holdsForMs };
      return isSo === true;
    },
    signHeldPart(upload, number, { sizeBytes, sha256 }) {
      const part = { ...place(upload), UploadId: upload.uploadId, PartNumber: number, ContentLength: sizeBytes };
      return withStaging(() => signHeldPart(client, part, sha256));
    },
    signPartsList(upload, first) {
      // What comes behind the marker is listed.
      const list = { ...place(upload), UploadId: upload.uploadId, PartNumberMarker: String(first - 1) };
      return getSignedUrl(publicClient, new ListPartsCommand(list), expiry);
    },
    signCompletion(upload) {
      const completion = new CompleteMultipartUploadCommand({ ...place(upload), UploadId: upload.uploadId });
      return getSignedUrl(publicClient, completion, expiry);
    },
    signDownload: (object, audience) => getSignedUrl(signerOf(audience), new GetObjectCommand(place(object)), expiry),
    close() {
      client.destroy();
      publicClient.destroy();
    },
  };
}

/** For `catch`: the value where the store answered with that name, else the error goes on. */
function unless<T>(name: string, value: T): (error: unknown) => T {
  return (error) => {
    if (hasName(error, name)) return value;
    throw error;
  };
}

async function withStaging<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storeFault(error);
  }
}
