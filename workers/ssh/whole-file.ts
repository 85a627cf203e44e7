/** Whole files by the file loop, where there is one that is free; callers fall back on SFTP. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type ComingFile, FileLoopLost, FileLoopOverdue, type WaitLimits } from './file-loop.ts';
import { connectionLost } from './open-channel.ts';
import type { WarmFileLoop } from './warm-file-loop.ts';

/** Null, and `act` was not run, where the file does not come this way. Throws SshUnavailable, CommandTimeout, what `act` throws. */
export async function withWholeFile<T>(
  loops: WarmFileLoop,
  path: Buffer,
  bytesMax: number,
  limits: WaitLimits,
  act: (file: ComingFile) => Promise<T>,
): Promise<T | null> {
  const loop = loops.take();
  if (loop === undefined) {
    loops.prepare();
    return null;
  }
  const file = await loop.ask(path, bytesMax, limits).catch((error: unknown) => {
    if (error instanceof FileLoopLost) return null; // nothing was handed over: SFTP may still do it
    throw worded(error);
  });
  if (file === null) return null;
  let isWhole = false;
  const stream: ComingFile['stream'] = async (take) => {
    try {
      const count = await file.stream(take);
      isWhole = count === file.sizeBytes;
      return count;
    } catch (error) {
      throw worded(error);
    }
  };
  try {
    return await act({ ...file, stream });
  } finally {
    if (!isWhole) loop.close();
  }
}

function worded(error: unknown): unknown {
  if (error instanceof FileLoopLost) return connectionLost({ sent: true }, error);
  if (!(error instanceof FileLoopOverdue)) return error;
  return new BrokerError('CommandTimeout', 'The file system did not answer in time.', { cause: error });
}
