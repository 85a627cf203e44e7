/** By what a file that came from the store is known to be the object there, where nobody has named its SHA-256. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { StagedFile } from '../../shared/tasks/staged-file.ts';

export interface ObjectCheck {
  /** The MD5 of the MD5s of its parts, and how many they are. */
  etag: string;
  /** Bytes of each part but the last. */
  partSizeBytes: number;
}

/**
 * Null: the store's ETag says nothing of the bytes, or parts of other sizes were sent than were asked for, and which bytes
 * are whose part is not known. TransferFailed for that where nothing else is known of the bytes.
 */
export function objectCheckOf(
  { sizeBytes, partSizeBytes }: Pick<StagedFile, 'sizeBytes' | 'partSizeBytes'>,
  etag: string,
  sha256: string | null,
): ObjectCheck | null {
  const sent = Number(/^[0-9a-f]{32}-([1-9]\d{0,4})$/.exec(etag)?.[1] ?? 0);
  if (sent === 0) return null;
  if (sent === 1) return { etag, partSizeBytes: sizeBytes };
  const planned = Math.max(1, Math.ceil(sizeBytes / partSizeBytes));
  if (sent === planned) return { etag, partSizeBytes };
  if (sha256 !== null) return null;
  const message = `The upload came in ${sent} parts, not in ${planned} of ${partSizeBytes} bytes, so it cannot be checked.`;
  throw new BrokerError('TransferFailed', `${message} Send these, or name its sha256.`);
}
