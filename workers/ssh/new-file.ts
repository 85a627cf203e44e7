/** One file that is being made, open for writing on one SFTP channel, with many requests under way. */
import { beforeAbort } from './before-abort.ts';
import { closeUnwaited, type FreshLimits, requestsAhead } from './open-file.ts';
import type { RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';
import { openFlag } from './sftp-wire.ts';

/** Filled from its beginning, by one caller. */
export interface NewFile {
  /**
   * Adds bytes at the end; they go out in requests of about the channel's largest size. What it returns is to be waited for: 2 MiB at
   * most are under way. Throws once a write failed.
   */
  append(bytes: Buffer): undefined | Promise<void>;
  /** Resolves when the server has every byte and has closed the file. */
  finish(): Promise<void>;
}

/** Creates the file, runs `act` with it, and closes it. */
export async function withNewFile<T>(
  channel: SftpChannel,
  path: RemotePath,
  mode: number | undefined,
  fresh: FreshLimits,
  act: (file: NewFile) => Promise<T>,
): Promise<T> {
  const flags = openFlag.write | openFlag.create | openFlag.exclusive;
  const handle = await sftp.open(channel, path, flags, mode, fresh());
  const file = createNewFile(channel, handle, fresh);
  try {
    return await act(file);
  } finally {
    if (!file.isFinished()) closeUnwaited(channel, handle, fresh());
  }
}

/** What stands in a request before its bytes, and more: with it, full requests fill whole packets of SSH, which OpenSSH takes 32 KiB of. */
const headBytesMax = 64;
/** Pieces of one request; more of them are joined, so that a client who sends byte by byte costs no more memory than its bytes. */
const piecesMax = 64;

function createNewFile(channel: SftpChannel, handle: Buffer, fresh: FreshLimits) {
  const { signal } = fresh();
  const unaborted = (): RequestLimits => ({ deadlineAt: fresh().deadlineAt });
  const aheadMax = requestsAhead(channel);
  const underWay = new Set<Promise<void>>();
  let at = 0;
  /** What the next request will hold. */
  let pieces: Buffer[] = [];
  let gatheredBytes = 0;
  let failure: { error: unknown } | undefined;
  let isFinished = false;

  const send = (): void => {
    if (gatheredBytes === 0) return;
    const written = sftp.write(channel, handle, at, pieces, unaborted()).then(
      () => void underWay.delete(written),
      (error: unknown) => {
        underWay.delete(written);
        failure ??= { error };
      },
    );
    underWay.add(written);
    at += gatheredBytes;
    pieces = [];
    gatheredBytes = 0;
  };
  const gather = (piece: Buffer): void => {
    if (pieces.length === piecesMax) pieces = [Buffer.concat(pieces)];
    pieces.push(piece);
    gatheredBytes += piece.length;
  };
  const throwFailure = (): void => {
    if (failure) throw failure.error;
  };
  const untilRoom = async (): Promise<void> => {
    // Answers come in order, so the oldest of those that are too many is the one to wait for.
    while (underWay.size > aheadMax) {
      const [oldest] = underWay;
      await beforeAbort(oldest ?? Promise.resolve(), signal);
      throwFailure();
    }
  };

  return {
    append(bytes: Buffer): undefined | Promise<void> {
      throwFailure();
      signal?.throwIfAborted();
      const requestBytes = Math.max(1, channel.requestBytes - headBytesMax);
      for (let from = 0; from < bytes.length; ) {
        const until = Math.min(bytes.length, from + requestBytes - gatheredBytes);
        gather(bytes.subarray(from, until));
        from = until;
        if (gatheredBytes === requestBytes) send();
      }
      return underWay.size > aheadMax ? untilRoom() : undefined;
    },
    async finish(): Promise<void> {
      // Right behind the writes: the server answers in order, so this is one round trip for all of them.
      send();
      isFinished = true;
      const closed = sftp.close(channel, handle, unaborted());
      closed.catch(() => undefined); // told below, behind the failure of a write
      await beforeAbort(Promise.all(underWay), signal);
      throwFailure();
      await beforeAbort(closed, signal);
    },
    isFinished: () => isFinished,
  };
}
