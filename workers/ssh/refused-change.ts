/** Why a change to files failed: SFTP version 3 says "failure" alone, so the file system is asked afterwards. */
import { posix } from 'node:path';
import type { Reason } from './file-errors.ts';
import type { RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';

/** What a change does. What `makes` something wants room; what `alters` does not. */
export type ChangeKind = 'makes' | 'alters';

/** Null where the file system is as it should be, or does not tell. Never throws. */
export async function reasonOfFailure(
  channel: SftpChannel,
  path: RemotePath,
  kind: ChangeKind,
  limits: RequestLimits,
): Promise<Reason | null> {
  const state = await sftp.statFileSystem(channel, directoryOf(path), limits).catch(() => null);
  if (state?.isReadOnly) return ['PermissionDenied', 'Read-only file system'];
  if (state?.isFull && kind === 'makes') return ['RemoteCommandFailed', 'No space left on device'];
  return null;
}

/** Byte for byte: names need not be UTF-8. */
function directoryOf(path: RemotePath): Buffer {
  return Buffer.from(posix.dirname(Buffer.from(path).toString('latin1')), 'latin1');
}
