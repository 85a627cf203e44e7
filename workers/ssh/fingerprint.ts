/** The short name of a public key. */
import { createHash } from 'node:crypto';

/** `SHA256:` and unpadded base64, as ssh-keygen -l prints it. */
export function fingerprint(key: Buffer): string {
  return unpadded(`SHA256:${createHash('sha256').update(key).digest('base64')}`);
}

/** A fingerprint as somebody wrote it, in the form that `fingerprint` gives. */
export function unpadded(text: string): string {
  return text.trim().replace(/=+$/, '');
}
