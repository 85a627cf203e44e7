/** Lists a directory over SFTP in as few round trips as it takes. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { closeUnwaited } from './open-file.ts';
import type { DirectoryEntry, RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';
import { readAttributes, status } from './sftp-wire.ts';
import { hasStatus } from './warm-channels.ts';

/** Requests under way at a time: a small directory is done, end included, in one round trip. */
const requestsAhead = 2;

/** Takes the entries of one answer, while the next ones are on their way. */
export type TakeEntries = (entries: DirectoryEntry[]) => void;

/** Hands over entries without `.` and `..`. Throws OutputTooLarge past entriesMax. */
export async function readDirectory(
  channel: SftpChannel,
  path: RemotePath,
  entriesMax: number,
  limits: RequestLimits,
  take: TakeEntries,
): Promise<void> {
  const handle = await sftp.opendir(channel, path, limits);
  let count = 0;
  let isAtEnd = false;
  const readOn = async (): Promise<void> => {
    while (!isAtEnd) {
      const batch = await nextBatch(channel, handle, limits);
      if (batch === undefined) isAtEnd = true;
      count += batch?.length ?? 0;
      if (count > entriesMax) {
        isAtEnd = true;
        throw tooManyEntries(entriesMax);
      }
      if (batch !== undefined) take(batch);
    }
  };
  try {
    const readers = await Promise.allSettled(Array.from({ length: requestsAhead }, readOn));
    for (const reader of readers) if (reader.status === 'rejected') throw reader.reason;
  } finally {
    closeUnwaited(channel, handle, limits);
  }
}

/** Undefined at the end. */
async function nextBatch(
  channel: SftpChannel,
  handle: Buffer,
  limits: RequestLimits,
): Promise<DirectoryEntry[] | undefined> {
  try {
    const fields = await sftp.readdir(channel, handle, limits);
    const entries: DirectoryEntry[] = [];
    for (let left = fields.uint32(); left > 0; left -= 1) {
      const nameBytes = fields.string(); // a view: it keeps the packet, and nobody holds names for long
      fields.string(); // the server's `ls -l` line, which nobody can parse for sure
      const attributes = sftp.attributes(readAttributes(fields));
      const name = nameBytes.toString();
      if (name !== '.' && name !== '..') entries.push({ name, nameBytes, attributes });
    }
    return entries;
  } catch (error) {
    if (hasStatus(error, status.eof)) return undefined;
    throw error;
  }
}

export function tooManyEntries(entriesMax: number): BrokerError {
  return new BrokerError('OutputTooLarge', `The directory has more than ${entriesMax} entries.`);
}
