/** One regular file, held open on one SFTP channel for the length of one piece of work, with many requests under way. */
import { beforeAbort } from './before-abort.ts';
import type { RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';
import { openFlag, status } from './sftp-wire.ts';
import { hasStatus } from './warm-channels.ts';

/** Bytes under way, which is what ssh2's window admits. */
const aheadBytes = 2 * 1024 * 1024;

/** Requests under way at a time, of a channel's largest size. */
export function requestsAhead({ requestBytes }: Pick<SftpChannel, 'requestBytes'>): number {
  return Math.max(1, Math.floor(aheadBytes / requestBytes));
}

/** A file that is open for reading. Reads may run at the same time. */
export interface OpenFile {
  /** When it was opened. 0 also for a file that does not know its size, as those in /proc. */
  readonly sizeBytes: number;
  /** Permission and type bits. */
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Up to `lengthBytes` from `offsetBytes`; shorter at the end of the file only. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  /**
   * Hands the bytes to `take` in order, at most 2 MiB ahead of it; what it returns is waited for. Resolves with their
   * number, which is less than `lengthBytes` at the end of the file only.
   */
  stream(offsetBytes: number, lengthBytes: number, take: TakeChunk): Promise<number>;
}

export type TakeChunk = (chunk: Buffer) => undefined | Promise<void>;

/** Limits of one request, from now. */
export type FreshLimits = () => RequestLimits;

/** Runs `act` with the file of an open handle and closes it, also where the work was aborted. */
export async function withReadHandle<T>(
  channel: SftpChannel,
  path: RemotePath,
  attributes: Pick<OpenFile, 'sizeBytes' | 'mode' | 'mtime'>,
  fresh: FreshLimits,
  act: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const handle = await sftp.open(channel, path, openFlag.read, undefined, fresh());
  try {
    return await act({
      ...attributes,
      read: (offsetBytes, lengthBytes) => readAtOnce(channel, handle, offsetBytes, lengthBytes, fresh),
      stream: (offsetBytes, lengthBytes, take) => streamRange(channel, handle, offsetBytes, lengthBytes, fresh, take),
    });
  } finally {
    closeUnwaited(channel, handle, fresh());
  }
}

/** Nobody waits for it, and an abort does not keep it from being sent; a lost channel closes it too. */
export function closeUnwaited(channel: SftpChannel, handle: Buffer, { deadlineAt }: RequestLimits): void {
  sftp.close(channel, handle, { deadlineAt }).catch(() => undefined);
}

async function readAtOnce(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  lengthBytes: number,
  fresh: FreshLimits,
): Promise<Buffer> {
  if (lengthBytes <= channel.requestBytes) return await readChunk(channel, handle, offsetBytes, lengthBytes, fresh);
  const chunks: Buffer[] = [];
  await streamRange(channel, handle, offsetBytes, lengthBytes, fresh, (chunk) => {
    chunks.push(chunk);
    return undefined;
  });
  return Buffer.concat(chunks);
}

async function streamRange(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  lengthBytes: number,
  fresh: FreshLimits,
  take: TakeChunk,
): Promise<number> {
  const ahead: { chunk: Promise<Buffer>; wantedBytes: number }[] = [];
  let asked = 0;
  let taken = 0;
  // One listener for the abort, not one for each request under way.
  const { signal } = fresh();
  const unaborted = (): RequestLimits => ({ deadlineAt: fresh().deadlineAt });
  const aheadMax = requestsAhead(channel);
  const askOn = (): void => {
    while (ahead.length < aheadMax && asked < lengthBytes) {
      const wantedBytes = Math.min(channel.requestBytes, lengthBytes - asked);
      const chunk = readChunk(channel, handle, offsetBytes + asked, wantedBytes, unaborted);
      chunk.catch(() => undefined); // told when its turn comes, if it comes
      ahead.push({ chunk, wantedBytes });
      asked += wantedBytes;
    }
  };
  for (askOn(); ahead.length > 0; askOn()) {
    const next = ahead.shift() as (typeof ahead)[number];
    const chunk = await beforeAbort(next.chunk, signal);
    taken += chunk.length;
    const taking = chunk.length > 0 ? take(chunk) : undefined;
    if (taking) await taking;
    if (chunk.length < next.wantedBytes) break;
  }
  return taken;
}

/** Whole but for the end of the file: a server may answer with less than it was asked for. */
export async function readChunk(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  lengthBytes: number,
  fresh: FreshLimits,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    while (length < lengthBytes) {
      const wanted = Math.min(channel.requestBytes, lengthBytes - length);
      const part = await sftp.read(channel, handle, offsetBytes + length, wanted, fresh());
      if (part.length === 0) break;
      parts.push(part);
      length += part.length;
    }
  } catch (error) {
    if (!hasStatus(error, status.eof)) throw error;
  }
  const [only] = parts;
  return parts.length === 1 && only ? only : Buffer.concat(parts);
}
