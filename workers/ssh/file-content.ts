/** Reads and writes the bytes of regular files over SFTP. Anything else is refused before it is opened. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { shown } from './file-errors.ts';
import type { RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';
import { openFlag, status } from './sftp-wire.ts';
import { hasStatus } from './warm-channels.ts';

/** Every server takes this much in one request. */
const chunkBytes = 32 * 1024;
/** 2 MiB under way, which is what ssh2's window admits. */
const requestsAhead = 64;
const typeMask = 0o170000;
const regularFile = 0o100000;
const directory = 0o040000;

/** A whole file. Throws OutputTooLarge past bytesMax, and InvalidRequest when it is not a regular file. */
export async function readWhole(
  channel: SftpChannel,
  path: RemotePath,
  bytesMax: number,
  limits: RequestLimits,
): Promise<Buffer> {
  const sizeBytes = await sizeOfRegularFile(channel, path, limits);
  if (sizeBytes > bytesMax) throw tooLarge(bytesMax);
  // One byte more than allowed, so that a file in /proc, which says 0, is not cut without a word.
  const data = await readOpened(channel, path, 0, sizeBytes, bytesMax + 1, limits);
  if (data.length > bytesMax) throw tooLarge(bytesMax);
  return data;
}

/** Up to `lengthBytes` from `offsetBytes`. */
export async function readPart(
  channel: SftpChannel,
  path: RemotePath,
  offsetBytes: number,
  lengthBytes: number,
  limits: RequestLimits,
): Promise<Buffer> {
  const sizeBytes = await sizeOfRegularFile(channel, path, limits);
  const expected = Math.max(0, Math.min(lengthBytes, sizeBytes - offsetBytes));
  return await readOpened(channel, path, offsetBytes, expected, lengthBytes, limits);
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
async function sizeOfRegularFile(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<number> {
  const { mode, sizeBytes } = await sftp.stat(channel, path, limits);
  refuseSpecial(path, mode);
  return sizeBytes;
}

/** Whether the target is there. */
async function refuseSpecialTarget(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<boolean> {
  try {
    refuseSpecial(path, (await sftp.stat(channel, path, limits)).mode);
    return true;
  } catch (error) {
    if (hasStatus(error, status.noSuchFile)) return false;
    throw error;
  }
}

/** Opening a FIFO blocks a whole SFTP server until somebody comes to its other end. */
function refuseSpecial(path: RemotePath, mode: number): void {
  const type = mode & typeMask;
  if (type === regularFile) return;
  const what = type === directory ? 'Is a directory' : 'Not a regular file';
  throw new BrokerError('InvalidRequest', `cat: ${path.toString()}: ${what}`);
}

/** All of `expectedBytes` at once; a file that says it is empty, as those in /proc do, is read to its end. */
async function readOpened(
  channel: SftpChannel,
  path: RemotePath,
  offsetBytes: number,
  expectedBytes: number,
  bytesMax: number,
  limits: RequestLimits,
): Promise<Buffer> {
  const handle = await sftp.open(channel, path, openFlag.read, undefined, limits);
  try {
    if (expectedBytes === 0) return await readChunk(channel, handle, offsetBytes, bytesMax, limits);
    const chunks = await inParallel(Math.ceil(expectedBytes / chunkBytes), (index) => {
      const at = index * chunkBytes;
      return readChunk(channel, handle, offsetBytes + at, Math.min(chunkBytes, expectedBytes - at), limits);
    });
    const cutAt = chunks.findIndex((chunk) => chunk.length < chunkBytes); // the end, or truncated while we read
    return Buffer.concat(cutAt < 0 ? chunks : chunks.slice(0, cutAt + 1));
  } finally {
    sftp.close(channel, handle, limits).catch(() => undefined); // nobody waits for it; a lost channel closes it too
  }
}

/** Whole but for the end of the file: a server may answer with less than it was asked for. */
async function readChunk(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  lengthBytes: number,
  limits: RequestLimits,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    while (length < lengthBytes) {
      const wanted = Math.min(chunkBytes, lengthBytes - length);
      const part = await sftp.read(channel, handle, offsetBytes + length, wanted, limits);
      if (part.length === 0) break;
      parts.push(part);
      length += part.length;
    }
  } catch (error) {
    if (!hasStatus(error, status.eof)) throw error;
  }
  return Buffer.concat(parts);
}

async function writeOpened(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  data: Buffer,
  limits: RequestLimits,
): Promise<void> {
  try {
    await inParallel(Math.ceil(data.length / chunkBytes), (index) => {
      const at = index * chunkBytes;
      return sftp.write(channel, handle, offsetBytes + at, data.subarray(at, at + chunkBytes), limits);
    });
  } catch (error) {
    sftp.close(channel, handle, limits).catch(() => undefined); // the error of the write is the one to tell
    throw error;
  }
  await sftp.close(channel, handle, limits);
}

async function inParallel<T>(count: number, act: (index: number) => Promise<T>): Promise<T[]> {
  const results = new Array<T>(count);
  let next = 0;
  const workers = Array.from({ length: Math.min(requestsAhead, count) }, async () => {
    for (let index = next++; index < count; index = next++) results[index] = await act(index);
  });
  const settled = await Promise.allSettled(workers);
  for (const worker of settled) if (worker.status === 'rejected') throw worker.reason;
  return results;
}

function tooLarge(bytesMax: number): BrokerError {
  return new BrokerError('OutputTooLarge', `The file is larger than ${bytesMax} bytes.`);
}
