/**
 * One long-lived perl of a user on an exec channel that sends whole regular files and whole directories, one after another: as plain
 * bytes, without a request, an answer and a packet of SFTP for each piece, and in the same message as the look at them.
 */
import { sshString } from '../../shared/ssh/wire.ts';
import { createArrivals, FileLoopLost, FileLoopOverdue, type WaitLimits } from './arrivals.ts';
import type { LentChannel } from './connection-pool.ts';
import { createRecordReader } from './directory-records.ts';
import { shortenedExitCode } from './file-loop-program.ts';
import type { TakeChunk } from './open-file.ts';
import type { TakeEntries } from './read-directory.ts';

/** A file whose bytes are coming. */
export interface ComingFile {
  readonly sizeBytes: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /**
   * Hands the bytes to `take` in order; what it returns is waited for, and meanwhile the host is held back. Resolves with their
   * number, which is less than `sizeBytes` where the file has become shorter. Rejects with FileLoopLost, FileLoopOverdue, the
   * reason of the signal, or what `take` throws: each of them ends the loop.
   */
  stream(take: TakeChunk): Promise<number>;
}

export interface FileLoop {
  /** It is open and sends nothing. */
  readonly isFree: boolean;
  /**
   * Asks for a file of at most so many bytes, where the loop is free; null where that is not its affair. The file is to be streamed,
   * or the loop closed. Rejects as `stream` does.
   */
  ask(path: Buffer, bytesMax: number, limits: WaitLimits): Promise<ComingFile | null>;
  /**
   * Hands over the entries of a directory, at most one more than `entriesMax`, where the loop is free. False: that is not its affair.
   * Rejects as `stream` does.
   */
  list(path: Buffer, entriesMax: number, limits: WaitLimits, take: TakeEntries): Promise<boolean>;
  close(): void;
}

/** What answers is something else, as where a start-up file of the shell writes, or the user's perl is no perl. */
export class NoFileLoop extends FileLoopLost {
  override readonly name = 'NoFileLoop';
  constructor() {
    super('Something else answered in the place of the loop');
  }
}

/** A line `F <size> <mtime>` is no longer. */
const headBytesMax = 64;
const lineBreak = 0x0a;

/** Takes over the channel. */
export function startFileLoop(channel: LentChannel, onEnd: (exitCode: number | undefined) => void): FileLoop {
  const { stream } = channel;
  const arrived = createArrivals(stream);
  let isBusy = false;
  let isOpen = true;

  function end(wasStuck: boolean): void {
    if (!isOpen) return;
    isOpen = false;
    stream.close();
    arrived.end();
    channel.release(wasStuck ? 'stuck' : 'done');
    onEnd(channel.exit()?.code);
  }
  stream.stderr.resume();
  stream.on('error', () => undefined); // its close follows
  stream.once('close', () => end(false));

  /** A failure of `work` ends the loop: what it would send next is nobody's. */
  async function orEnd<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      end(error instanceof FileLoopOverdue);
      throw error;
    }
  }

  /** The first line of the answer, and what has come behind it. */
  async function ask(question: 'F' | 'L', path: Buffer, most: number, limits: WaitLimits) {
    if (arrived.length > 0) throw new NoFileLoop();
    isBusy = true;
    stream.write(sshString(Buffer.concat([Buffer.from(`${question}${most} `), path])));
    let head = await arrived.next(limits);
    while (!head.includes(lineBreak) && head.length < headBytesMax) {
      head = Buffer.concat([head, await arrived.next(limits)]);
    }
    const at = head.indexOf(lineBreak);
    const line = head.toString('latin1', 0, Math.max(0, at));
    const rest = head.subarray(at + 1);
    const isNone = line === '-' && rest.length === 0;
    if (isNone) isBusy = false;
    return { line, rest, isNone };
  }

  /** Hands over `sizeBytes`, of which the first have come. */
  async function handOver(sizeBytes: number, first: Buffer, take: TakeChunk, limits: WaitLimits): Promise<number> {
    let count = 0;
    for (let chunk = first; ; ) {
      count += chunk.length;
      if (count > sizeBytes) throw new FileLoopLost('The loop sent more than it said');
      const taking = chunk.length > 0 ? take(chunk) : undefined;
      if (taking) await taking;
      if (count === sizeBytes) return count;
      try {
        chunk = await arrived.next(limits);
      } catch (error) {
        if (error instanceof FileLoopLost && channel.exit()?.code === shortenedExitCode) return count;
        throw error;
      }
    }
  }

  return {
    get isFree() {
      return isOpen && !isBusy && channel.exit() === undefined;
    },
    ask: (path, bytesMax, limits) =>
      orEnd(async () => {
        const { line, rest, isNone } = await ask('F', path, bytesMax, limits);
        if (isNone) return null;
        const [, size, time] = /^F ([1-9]\d{0,14}) (-?\d{1,12})$/.exec(line) ?? [];
        // The user's own perl may say what it likes.
        if (size === undefined || Number(size) > bytesMax) throw new NoFileLoop();
        const sizeBytes = Number(size);
        const streamOnce: ComingFile['stream'] = (take) =>
          orEnd(async () => {
            const count = await handOver(sizeBytes, rest, take, limits);
            isBusy = false;
            return count;
          });
        return { sizeBytes, mtime: Number(time), stream: streamOnce };
      }),
    list: (path, entriesMax, limits, take) =>
      orEnd(async () => {
        const { line, rest, isNone } = await ask('L', path, entriesMax, limits);
        if (isNone) return false;
        if (line !== 'L') throw new NoFileLoop();
        const isEnd = createRecordReader(take);
        for (let chunk = rest; !isEnd(chunk); ) chunk = await arrived.next(limits);
        isBusy = false;
        return true;
      }),
    close: () => end(false),
  };
}
