/** One answer of server-sent events (WHATWG HTML, section 9.2), with a bound on what waits for a slow client. */

/** Bytes that wait for the client; one that lets more come together is cut off and may come back with its last id. */
const waitingBytesMax = 256 * 1024;

export interface EventStream {
  body: ReadableStream<Uint8Array>;
  /** Sends a text as it is. One that no longer fits cuts the client off. */
  send(text: string): void;
  /** Resolves when at least half of the room is free, or the stream has ended. */
  hasRoom(): Promise<void>;
  /** Ends the stream in order. */
  end(): void;
  /** Aborts when the stream has ended, whoever ended it. */
  signal: AbortSignal;
}

/** An event as text. `data` is one line. */
export function eventText({ id, type, data }: { id?: string; type: string; data: string }): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${data}\n\n`;
}

export function openEventStream(): EventStream {
  const ended = new AbortController();
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let wake = (): void => {};
  const isOpen = (): boolean => !ended.signal.aborted;
  const finish = (): void => {
    ended.abort();
    wake();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start(own) {
        controller = own;
      },
      pull: () => wake(),
      cancel: finish,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: waitingBytesMax }),
  );
  return {
    body,
    signal: ended.signal,
    send(text) {
      if (!isOpen() || controller === undefined) return;
      const bytes = encoder.encode(text);
      if ((controller.desiredSize ?? 0) >= bytes.byteLength) {
        controller.enqueue(bytes);
        return;
      }
      controller.error(new Error('the client reads too slowly'));
      finish();
    },
    async hasRoom() {
      while (isOpen() && (controller?.desiredSize ?? 0) < waitingBytesMax / 2) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    end() {
      if (!isOpen()) return;
      controller?.close();
      finish();
    },
  };
}
