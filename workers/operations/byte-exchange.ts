/** How a handler meets the request that is held for its task, to send bytes to it or to take bytes from it, past Redis. */
import type { TakeChunk } from '../ssh/open-file.ts';

/** Begin of an HTTP answer. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
}

/** One meeting of one attempt. Throws TaskCanceled when nobody came or the client went away, TransferBroken on a stall. */
export interface ByteExchange {
  /** Tells the API where to come, without waiting for it. Bytes that come in are not sent before `receive`. */
  announce(): void;
  /** Answers with what `feed` hands to the function it is given; a failure of `feed` breaks the answer off. */
  send(head: AnswerHead, feed: (take: TakeChunk) => Promise<void>): Promise<void>;
  /** Answers without bytes: the outcome of the task says the rest. */
  refuse(head: AnswerHead): Promise<void>;
  /** Hands each chunk to `take` in order and waits for what it returns. Resolves when the last byte has come. */
  receive(take: TakeChunk): Promise<void>;
}

/** The same, where the request is answered, and its bytes are taken, only when `admission` has resolved. */
export function heldBack(exchange: ByteExchange, admission: Promise<void>): ByteExchange {
  return {
    announce: () => exchange.announce(),
    async send(head, feed) {
      await admission;
      await exchange.send(head, feed);
    },
    async refuse(head) {
      await admission;
      await exchange.refuse(head);
    },
    async receive(take) {
      await admission;
      await exchange.receive(take);
    },
  };
}
