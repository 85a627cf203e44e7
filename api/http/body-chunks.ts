/** The bytes of a request's body as they come, held back while nobody asks for them, and given up when they come too slowly. */
import type { IncomingMessage } from 'node:http';
import { BrokerError } from '../../shared/errors/broker-error.ts';

/** Bytes that wait here before the client is held back. */
const waitingBytesMax = 256 * 1024;
/** So many must come in the time that one may be waited for, or the client is too slow. */
const progressBytesMin = 4 * 1024;

export interface BodyChunks extends AsyncIterable<Buffer> {
  /** Lets go of the request: what has not been read is left to whoever reads next. */
  release(): void;
}

/** `idleMs`: longest wait, of all together, for the next 4 KiB that were asked for. The iteration throws RequestTimeout, or InvalidRequest for a body that was cut off. */
export function readChunks(incoming: IncomingMessage, idleMs: number): BodyChunks {
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  let end: { error: Error | null } | undefined;
  let wake: () => void = () => {};
  let waitedMs = 0;
  let waitingSince = 0;
  let cameBytes = 0;
  const onData = (chunk: Buffer): void => {
    waiting.push(chunk);
    waitingBytes += chunk.length;
    cameBytes += chunk.length;
    if (cameBytes >= progressBytesMin) {
      cameBytes = 0;
      waitedMs = 0;
      waitingSince = performance.now();
    }
    if (waitingBytes >= waitingBytesMax) incoming.pause();
    wake();
  };
  const onEnd = (): void => {
    end ??= { error: null };
    wake();
  };
  const onCut = (): void => {
    end ??= { error: new BrokerError('InvalidRequest', 'The request ended before its last byte.') };
    wake();
  };
  incoming.on('data', onData);
  incoming.once('end', onEnd);
  incoming.once('error', onCut);
  incoming.once('close', onCut);

  const arrival = async (): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    waitingSince = performance.now();
    await new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(() => {
        const message = `Less than ${progressBytesMin} bytes of the body came in ${idleMs / 1_000} s.`;
        end ??= { error: new BrokerError('RequestTimeout', message) };
        resolve();
      }, idleMs - waitedMs);
    });
    clearTimeout(timer);
    waitedMs += performance.now() - waitingSince;
  };
  async function* chunks(): AsyncGenerator<Buffer, void> {
    for (;;) {
      const chunk = waiting.shift();
      if (chunk) {
        waitingBytes -= chunk.length;
        if (incoming.isPaused() && waitingBytes < waitingBytesMax) incoming.resume();
        yield chunk;
      } else if (end?.error) throw end.error;
      else if (end) return;
      else await arrival();
    }
  }
  return {
    [Symbol.asyncIterator]: chunks,
    release() {
      incoming.off('data', onData);
      incoming.off('end', onEnd);
      incoming.off('error', onCut);
      incoming.off('close', onCut);
      incoming.on('error', () => undefined); // nobody is there any more to be told
    },
  };
}
