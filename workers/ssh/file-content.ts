/** Reads and writes the bytes of regular files over SFTP. Anything else is refused before it is opened. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { shown, text } from './file-errors.ts';
import { closeUnwaited, type FreshLimits, type OpenFile, requestsAhead, withReadHandle } from './open-file.ts';
import type { FileAttributes, RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';
import { openFlag, status } from './sftp-wire.ts';
import { hasStatus } from './warm-channels.ts';

const typeMask = 0o170000;
const regularFile = 0o100000;
const directory = 0o040000;

/** Runs `act` with the file, open for reading. Throws InvalidRequest, begun with `said`, when it is no regular file. */
export async function withOpenFile<T>(
  channel: SftpChannel,
  path: RemotePath,
  said: string,
  fresh: FreshLimits,
  act: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const attributes = await statRegular(channel, path, said, fresh());
  return await withReadHandle(channel, path, attributes, fresh, act);
}

/** A whole file. Throws OutputTooLarge past bytesMax, and InvalidRequest when it is not a regular file. */
export function readWhole(
  channel: SftpChannel,
  path: RemotePath,
  bytesMax: number,
  limits: RequestLimits,
): Promise<Buffer> {
  return withOpenFile(
    channel,
    path,
    `cat: ${text(path)}`,
    () => limits,
    async (file) => {
      if (file.sizeBytes > bytesMax) throw tooLarge(bytesMax);
      // One byte more than allowed, so that a file in /proc, which says 0, is not cut without a word.
      const data = await file.read(0, file.sizeBytes === 0 ? bytesMax + 1 : file.sizeBytes);
      if (data.length > bytesMax) throw tooLarge(bytesMax);
      return data;
    },
  );
}

/** Up to `lengthBytes` from `offsetBytes`. */
export function readPart(
  channel: SftpChannel,
  path: RemotePath,
  offsetBytes: number,
  lengthBytes: number,
  limits: RequestLimits,
): Promise<Buffer> {
  return withOpenFile(
    channel,
    path,
    `cat: ${text(path)}`,
    () => limits,
    (file) => {
      const expected = Math.max(0, Math.min(lengthBytes, file.sizeBytes - offsetBytes));
      return file.read(offsetBytes, file.sizeBytes === 0 ? lengthBytes : expected);
    },
  );
}

/** Creates or truncates. */
export async function writeWhole(
  channel: SftpChannel,
  path: RemotePath,
  data: Buffer,
  { mode, exclusive = false }: { readonly mode?: number; readonly exclusive?: boolean },
  limits: RequestLimits,
): Promise<void> {
  const isThere = await refuseSpecialTarget(channel, path, limits);
  if (isThere && exclusive) throw new BrokerError('FileExists', `${shown(path)}: File exists`);
  const flags = openFlag.write | openFlag.create | (exclusive ? openFlag.exclusive : openFlag.truncate);
  await writeOpened(channel, await sftp.open(channel, path, flags, mode, limits), 0, data, limits);
}

/** Creates where needed, never truncates. */
export async function writePart(
  channel: SftpChannel,
  path: RemotePath,
  offsetBytes: number,
  data: Buffer,
  limits: RequestLimits,
): Promise<void> {
  await refuseSpecialTarget(channel, path, limits);
  const handle = await sftp.open(channel, path, openFlag.write | openFlag.create, undefined, limits);
  await writeOpened(channel, handle, offsetBytes, data, limits);
}

/** stat(2), not lstat(2): what a link points at is what would be opened. */
async function statRegular(
  channel: SftpChannel,
  path: RemotePath,
  said: string,
  limits: RequestLimits,
): Promise<FileAttributes> {
  const attributes = await sftp.stat(channel, path, limits);
  refuseSpecial(said, attributes.mode);
  return attributes;
}

/** Whether the target is there. */
async function refuseSpecialTarget(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<boolean> {
  try {
    await statRegular(channel, path, `cannot write to ${shown(path)}`, limits);
    return true;
  } catch (error) {
    if (hasStatus(error, status.noSuchFile)) return false;
    throw error;
  }
}

/** Opening a FIFO blocks a whole SFTP server until somebody comes to its other end. */
export function refuseSpecial(said: string, mode: number): void {
  const type = mode & typeMask;
  if (type === regularFile) return;
  throw new BrokerError('InvalidRequest', `${said}: ${type === directory ? 'Is a directory' : 'Not a regular file'}`);
}

async function writeOpened(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  data: Buffer,
  limits: RequestLimits,
): Promise<void> {
  try {
    const { requestBytes } = channel;
    await inParallel(requestsAhead(channel), Math.ceil(data.length / requestBytes), (index) => {
      const at = index * requestBytes;
      return sftp.write(channel, handle, offsetBytes + at, [data.subarray(at, at + requestBytes)], limits);
    });
  } catch (error) {
    closeUnwaited(channel, handle, limits); // the error of the write is the one to tell
    throw error;
  }
  await sftp.close(channel, handle, limits);
}

async function inParallel<T>(atOnceMax: number, count: number, act: (index: number) => Promise<T>): Promise<T[]> {
  const results = new Array<T>(count);
  let next = 0;
  const workers = Array.from({ length: Math.min(atOnceMax, count) }, async () => {
    for (let index = next++; index < count; index = next++) results[index] = await act(index);
  });
  const settled = await Promise.allSettled(workers);
  for (const worker of settled) if (worker.status === 'rejected') throw worker.reason;
  return results;
}

function tooLarge(bytesMax: number): BrokerError {
  return new BrokerError('OutputTooLarge', `The file is larger than ${bytesMax} bytes.`);
}
