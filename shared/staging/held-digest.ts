/**
 * Requests of which the store itself holds the body against a digest: Signature Version 4 with the SHA-256 of the payload
 * in `x-amz-content-sha256` (Amazon S3 API Reference, "Signature Calculations for the Authorization Header"). Unlike a
 * signed address, which says nothing of the bytes.
 */
import { createHash } from 'node:crypto';
import { type S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { hasName } from './store-fault.ts';

/** A PUT to be sent as it is, within the minutes that its signature is good for. The headers are secrets. */
export interface SignedPut {
  url: string;
  headers: Record<string, string | number>;
}

/** The parts of a request of the S3 client that are looked at. */
interface Signed {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  query?: Record<string, string>;
  headers: Record<string, string>;
}

const digestHeader = 'x-amz-content-sha256';
/** What stores call a body that is not the one that was signed. */
const refusals = ['XAmzContentSHA256Mismatch', 'BadDigest'] as const;

/** Whether a store's answer of status 400 says that the bytes are not those of the digest. */
export function saysOtherBytes(answer: string): boolean {
  return refusals.some((code) => answer.includes(`<Code>${code}</Code>`));
}

/** A part whose bytes the store takes only if they have that digest. Makes no request. */
export async function signHeldPart(
  client: S3Client,
  part: ConstructorParameters<typeof UploadPartCommand>[0],
  sha256: string,
): Promise<SignedPut> {
  const command = new UploadPartCommand(part);
  addDigest(command, sha256);
  let signed: Signed | undefined;
  command.middlewareStack.add(
    () => async (args) => {
      signed = args.request as Signed;
      return { response: {}, output: { $metadata: {} } };
    },
    { step: 'finalizeRequest', priority: 'low', name: 'keepsRequest' },
  );
  await client.send(command);
  if (signed === undefined) throw new Error('the S3 client signed no request');
  const { protocol, hostname, port, path, query = {}, headers } = signed;
  const words = Object.entries(query).map((pair) => pair.map(encodeURIComponent).join('='));
  const host = port === undefined ? hostname : `${hostname}:${port}`;
  return { url: `${protocol}//${host}${path}?${words.join('&')}`, headers };
}

/**
 * Whether the store refuses a part that is not the one that was signed, found out by such a part; null: it refuses it for another
 * reason. Throws what the client throws where the store does not answer just now.
 */
export async function refusesOtherBytes(
  client: S3Client,
  upload: { Bucket: string; Key: string; UploadId: string },
): Promise<boolean | null> {
  const command = new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'one' });
  addDigest(command, createHash('sha256').update('another').digest('hex'));
  try {
    await client.send(command);
    return false;
  } catch (error) {
    if (refusals.some((name) => hasName(error, name))) return true;
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 503;
    const mayPass = status === 408 || status === 429 || (status >= 500 && status !== 501);
    if (mayPass) throw error;
    return null;
  }
}

/** The client signs the digest that it finds, and makes none. */
function addDigest({ middlewareStack }: UploadPartCommand, sha256: string): void {
  middlewareStack.add(
    (next) => (args) => {
      (args.request as Signed).headers[digestHeader] = sha256;
      return next(args);
    },
    { step: 'build', name: 'saysDigest' },
  );
}
