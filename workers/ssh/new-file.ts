/** One file that is being made, open for writing on one SFTP channel, with many requests under way. */
import { beforeAbort } from './before-abort.ts';
import { closeUnwaited, type FreshLimits, requestsAhead } from './open-file.ts';
import type { RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';
import { openFlag } from './sftp-wire.ts';
import { openWriteRequest, type WriteRequest } from './write-requests.ts';

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

function createNewFile(channel: SftpChannel, handle: Buffer, fresh: FreshLimits) {
  const { signal } = fresh();
  const unaborted = (): RequestLimits => ({ deadlineAt: fresh().deadlineAt });
  const aheadMax = requestsAhead(channel);
  const underWay = new Set<Promise<void>>();
  let at = 0;
  /** Filled, and not sent until it is full. */
  let next: WriteRequest | undefined;
  let failure: { error: unknown } | undefined;
  let isFinished = false;

  const send = (request: WriteRequest): void => {
    next = undefined;
    const written = request.send(at, unaborted()).then(
      () => void underWay.delete(written),
      (error: unknown) => {
        underWay.delete(written);
        failure ??= { error };
      },
    );
    underWay.add(written);
    at += request.filledBytes;
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
      for (let rest = bytes; rest.length > 0; ) {
        next ??= openWriteRequest(channel, handle);
        rest = rest.subarray(next.fill(rest));
        if (next.isFull) send(next);
      }
      return underWay.size > aheadMax ? untilRoom() : undefined;
    },
    async finish(): Promise<void> {
      // Right behind the writes: the server answers in order, so this is one round trip for all of them.
      if (next) send(next);
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
