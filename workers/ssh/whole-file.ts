/** Whole files and directories by the file loop, where there is one that is free; callers fall back on SFTP. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { FileLoopLost, FileLoopOverdue, type WaitLimits } from './arrivals.ts';
import type { ComingFile, FileLoop } from './file-loop.ts';
import { connectionLost } from './open-channel.ts';
import { type TakeEntries, tooManyEntries } from './read-directory.ts';
import type { WarmFileLoop } from './warm-file-loop.ts';

/** Null, and `act` was not run, where the file does not come this way. Throws SshUnavailable, CommandTimeout, what `act` throws. */
export async function withWholeFile<T>(
  loops: WarmFileLoop,
  path: Buffer,
  bytesMax: number,
  limits: WaitLimits,
  act: (file: ComingFile) => Promise<T>,
): Promise<T | null> {
  const loop = loopFor(loops, path);
  if (loop === undefined) return null;
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

/** False, and `take` was not called, where the directory does not come this way. Throws OutputTooLarge, SshUnavailable, CommandTimeout. */
export async function listByLoop(
  loops: WarmFileLoop,
  path: Buffer,
  entriesMax: number,
  limits: WaitLimits,
  take: TakeEntries,
): Promise<boolean> {
  const loop = loopFor(loops, path);
  if (loop === undefined) return false;
  let count = 0;
  const counting: TakeEntries = (entries) => {
    count += entries.length;
    if (count <= entriesMax) take(entries);
    else if (count > entriesMax + entries.length) throw new FileLoopLost('The loop sent more than it was asked for');
  };
  try {
    if (!(await loop.list(path, entriesMax, limits, counting))) return false;
  } catch (error) {
    if (error instanceof FileLoopLost && count === 0) return false;
    throw worded(error);
  }
  if (count > entriesMax) throw tooManyEntries(entriesMax);
  return true;
}

/** Undefined where there is none that is free; one is started then, for those that follow. */
function loopFor(loops: WarmFileLoop, path: Buffer): FileLoop | undefined {
  if (path.includes(0)) return undefined; // where an old perl would take the path to end
  const loop = loops.take();
  if (loop === undefined) loops.prepare();
  return loop;
}

function worded(error: unknown): unknown {
  if (error instanceof FileLoopLost) return connectionLost({ sent: true }, error);
  if (!(error instanceof FileLoopOverdue)) return error;
  return new BrokerError('CommandTimeout', 'The file system did not answer in time.', { cause: error });
}
