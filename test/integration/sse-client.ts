/** Reads server-sent events off an answer, as a browser's EventSource does. */

export interface SseEvent {
  id: string;
  type: string;
  /** The parsed data. */
  data: Record<string, unknown> & { type: string; data: Record<string, unknown> };
}

export interface SseReader {
  events: SseEvent[];
  /** Resolves when that many have come, rejects when the stream ends before. */
  until(count: number): Promise<SseEvent[]>;
  /** Resolves when the stream has ended. */
  ended: Promise<void>;
  close(): Promise<void>;
}

export function readEvents(response: Response, onEvent: (event: SseEvent) => void = () => {}): SseReader {
  const events: SseEvent[] = [];
  const waiting: { count: number; resolve: (events: SseEvent[]) => void; reject: (error: Error) => void }[] = [];
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const take = (block: string): void => {
    const field = (name: string): string =>
      block
        .split('\n')
        .find((line) => line.startsWith(`${name}: `))
        ?.slice(name.length + 2) ?? '';
    if (field('data') === '') return;
    const event = { id: field('id'), type: field('event'), data: JSON.parse(field('data')) as SseEvent['data'] };
    events.push(event);
    onEvent(event);
    for (const { count, resolve } of waiting) if (events.length >= count) resolve(events);
  };
  const ended = (async () => {
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done) break;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) take(block);
    }
    for (const { reject } of waiting) reject(new Error(`the stream ended after ${events.length} events`));
  })();
  return {
    events,
    ended,
    until: (count) =>
      events.length >= count
        ? Promise.resolve(events)
        : new Promise((resolve, reject) => waiting.push({ count, resolve, reject })),
    async close() {
      await reader.cancel();
      await ended;
    },
  };
}
