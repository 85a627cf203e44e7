/** Asks the staging store for its buckets, with the keys that transfers use and on a connection of its own. */
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from '../../shared/platform/config/data-transfer.ts';
import { down, up, type Verdict } from './verdict.ts';

/** What is said never names the endpoint: it is the private one, which clients are not shown. */
export async function probeStorage(storage: S3Config, timeoutMs: number): Promise<Verdict> {
  const client = new S3Client({
    endpoint: storage.privateUrl.reveal(),
    region: storage.region,
    forcePathStyle: storage.addressStyle === 'path',
    maxAttempts: 1,
    credentials: {
      accessKeyId: storage.accessKeyId.reveal(),
      secretAccessKey: storage.secretAccessKey.reveal(),
    },
  });
  const tooLate = AbortSignal.timeout(timeoutMs);
  try {
    await client.send(new ListBucketsCommand({ MaxBuckets: 1 }), { abortSignal: tooLate });
    return up();
  } catch (error) {
    if (tooLate.aborted) return down(`The staging store did not answer within ${timeoutMs / 1_000} s.`);
    return verdictOfRefusal(error);
  } finally {
    client.destroy();
  }
}

function verdictOfRefusal(error: unknown): Verdict {
  const { name, code, $metadata } = error as { name?: string; code?: string; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  // Keys that are good and may not list buckets may still read and write in their own.
  if (name === 'AccessDenied') return up('The staging store answers; its keys may not list buckets.');
  if (status !== undefined) return down(`The staging store answered ${name ?? 'an error'} (status ${status}).`);
  return down(`The staging store cannot be reached (${code ?? name ?? 'unknown error'}).`);
}
