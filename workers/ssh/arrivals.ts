/** The bytes that a lasting process sends, one chunk after another; it is held back while nobody asks for more. */
import type { Readable } from 'node:stream';

/** The loop ended, or was dropped, before it had sent what was asked for. */
export class FileLoopLost extends Error {
  override readonly name: string = 'FileLoopLost';
}

/** No byte came within the time. */
export class FileLoopOverdue extends Error {
  override readonly name = 'FileLoopOverdue';
}

export interface WaitLimits {
  /** Longest wait for the next byte. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that wait here before the host is held back; as many again are on their way at most eight times (the window of ssh2). */
const waitingBytesMax = 256 * 1024;

/** Takes over the reading of `stream`. `next` rejects with FileLoopLost after the end, FileLoopOverdue, or the reason of the signal. */
export function createArrivals(stream: Readable) {
  const waiting: Buffer[] = [];
  let length = 0;
  let isOver = false;
  let wake: () => void = () => undefined;
  stream.on('data', (chunk: Buffer) => {
    if (isOver) return;
    waiting.push(chunk);
    length += chunk.length;
    if (length >= waitingBytesMax) stream.pause();
    wake();
  });
  return {
    get length() {
      return length;
    },
    end(): void {
      isOver = true;
      stream.resume(); // what nobody asks for any more must not keep the channel from closing
      wake();
    },
    async next(limits: WaitLimits): Promise<Buffer> {
      limits.signal?.throwIfAborted();
      if (waiting.length === 0 && !isOver) {
        await arrival(limits, (woken) => {
          wake = woken;
        });
      }
      const chunk = waiting.shift();
      if (chunk === undefined) throw new FileLoopLost('The loop that sends files has ended');
      length -= chunk.length;
      if (length < waitingBytesMax && stream.isPaused()) stream.resume();
      return chunk;
    },
  };
}

/** Resolves when the function that `listen` is given was called. */
function arrival({ timeoutMs, signal }: WaitLimits, listen: (woken: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      act();
    };
    const abort = settle(() => reject(signal?.reason));
    const timer = setTimeout(
      settle(() => reject(new FileLoopOverdue('No byte of the file came in time'))),
      timeoutMs,
    );
    signal?.addEventListener('abort', abort, { once: true });
    listen(settle(resolve));
  });
}
