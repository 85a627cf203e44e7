/**
 * Which bucket stages a user's files. FirecREST v2 takes the username itself, and so do we where S3 allows that name;
 * any other username gets a name made of a digest, so that two users never share a bucket.
 */
import { createHash } from 'node:crypto';

/** S3's rules for general purpose buckets: 3 to 63 of a-z, 0-9, hyphen; dots are left out, they break TLS names. */
const legalName = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
/** Begins every digest name; a username that looks like one is given a digest as well. */
const digestMark = 'gcu-';
const reservedName = /^(?:xn--|sthree-|amzn-s3-demo-)|(?:-s3alias|--ol-s3|--x-s3)$/;

/** The bucket of a username; always a legal name, at most 63 characters. `prefix` is `[a-z0-9-]`, at most 20. */
export function bucketName(username: string, prefix: string): string {
  const plain = `${prefix}${username}`;
  const isUsable = legalName.test(plain) && !reservedName.test(plain) && !username.startsWith(digestMark);
  if (isUsable) return plain;
  const digest = createHash('sha256').update(username).digest('hex');
  return `${prefix}${digestMark}${digest.slice(0, 32)}`;
}

/** The bucket as requests name it: with its Ceph tenant before it, where there is one. */
export function qualifiedBucket(bucket: string, tenant: string | null): string {
  return tenant === null ? bucket : `${tenant}:${bucket}`;
}

/**
 * The key of a task's object: its own folder, and the file's name for whoever saves a download under the last word of
 * the address. A name that XML cannot carry (S3 lists keys in it) is left out.
 */
export function objectKey(taskId: string, path: string): string {
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  const isCarried = name !== '' && name !== '.' && name !== '..' && !/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/u.test(name);
  return `${taskId}/${isCarried ? name : 'file'}`;
}
