/**
 * One connection to the internal port of a worker that moves the body of an answer through one buffer, used again and again, and
 * the body of a request as it comes. Node's own client makes a new buffer for each 64 KiB of an answer, and the collector looks
 * at the whole heap for every 64 MiB of them; a request of it costs several times what is written here.
 */
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';

const bufferBytes = 128 * 1024;
const headBytesMax = 16 * 1024;

export interface AnswerHead {
  statusCode: number;
  /** By lower-case name. */
  headers: Readonly<Record<string, string>>;
}

export interface WorkerConnection {
  /** One after another. Resolves with the beginning of the answer; rejects when there is none, which ends the connection. */
  get(target: URL, answerMs: number): Promise<AnswerHead>;
  /** Writes the body of the answer as fast as it is taken; resolves when all of it was. Rejects, and ends the connection, when that cannot be. */
  moveBody(to: ServerResponse): Promise<void>;
  /** Announces a body, of which nothing is sent until the worker asks for it. */
  put(target: URL): SentBody;
  /** Ends the connection when no byte moves for so long; 0: never. */
  limitIdle(ms: number): void;
  isOpen(): boolean;
  /** Whether the last answer has ended, and another request may be made. */
  isFree(): boolean;
  close(): void;
  /** Called once, when the connection has ended. */
  onClose(callback: () => void): void;
}

/** The body of a request. */
export interface SentBody {
  /** Whether the worker has asked for the body. False: it is lost or ended without, and took nothing. Never rejects. */
  readonly isReady: Promise<boolean>;
  /** Once it has asked. What it returns is to be waited for; it resolves also when the connection has ended. */
  write(bytes: Buffer): undefined | Promise<void>;
  /** Behind the last byte. Resolves with the status that the worker answers, null where it does not. Never rejects. */
  end(): Promise<number | null>;
}

type Take = (bytes: Buffer) => boolean;

export function openWorkerConnection(host: string, port: number): WorkerConnection {
  /** What the bytes that come are for. */
  let take: Take = refuseBytes;
  let fail: (error: Error) => void = () => undefined;
  /** Bytes of the body that have not come; of an answer without a length it is not known where it ends. */
  let left = 0;
  /** Of the body, what came with the head. */
  let early: Buffer = Buffer.alloc(0);
  let isOpen = true;
  const buffer = Buffer.allocUnsafeSlow(bufferBytes);
  const socket: Socket = connect({
    ...{ host, port, noDelay: true },
    onread: { buffer, callback: (count) => take(buffer.subarray(0, count)) },
  });
  function refuseBytes(): boolean {
    socket.destroy(new Error('the worker sent what nobody asked for'));
    return true;
  }
  /** The beginning of what the worker says next. */
  function readHead(): Promise<AnswerHead> {
    return new Promise((resolve, reject) => {
      let begun = early;
      const look = (): boolean => {
        const end = begun.indexOf('\r\n\r\n');
        if (end < 0 && begun.length < headBytesMax) return true;
        const head = parseHead(begun.toString('latin1', 0, Math.max(0, end)));
        if (head === null) {
          socket.destroy(new Error('the worker did not answer in HTTP/1.1'));
          return true;
        }
        early = begun.subarray(end + 4);
        left = hasNoBody(head) ? 0 : Number(head.headers['content-length'] ?? Number.NaN);
        take = refuseBytes;
        fail = () => undefined;
        resolve(head);
        return left === 0; // a body waits for who takes it
      };
      fail = reject;
      early = Buffer.alloc(0);
      take = (bytes) => {
        begun = Buffer.concat([begun, bytes]);
        return look();
      };
      if (!isOpen) reject(new Error('the worker closed the connection'));
      else if (look()) socket.resume();
    });
  }
  function untilRoom(): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        socket.off('drain', settle);
        socket.off('close', settle);
        resolve();
      };
      socket.once('drain', settle);
      socket.once('close', settle);
    });
  }
  socket.on('error', (error) => fail(error));
  socket.once('end', () => socket.destroy());
  socket.on('timeout', () => socket.destroy(new Error('the worker hangs')));
  socket.once('close', () => {
    isOpen = false;
    fail(new Error('the worker closed the connection'));
  });

  return {
    async get({ host: name, pathname }, answerMs) {
      const timer = setTimeout(() => socket.destroy(new Error('the worker did not answer')), answerMs);
      socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      try {
        return await readHead();
      } finally {
        clearTimeout(timer);
      }
    },
    put({ host: name, pathname }) {
      const wants = 'Transfer-Encoding: chunked\r\nExpect: 100-continue';
      socket.write(`PUT ${pathname} HTTP/1.1\r\nHost: ${name}\r\n${wants}\r\n\r\n`);
      let isAsked = false;
      const first = readHead();
      const answer = first.then((head) => {
        isAsked = head.statusCode === 100;
        return isAsked ? readHead() : head;
      });
      const status = answer.then(
        ({ statusCode }) => statusCode,
        () => null,
      );
      return {
        isReady: first.then(
          ({ statusCode }) => statusCode === 100,
          () => false,
        ),
        write(bytes) {
          if (!isAsked) throw new TypeError('the worker has not asked for the body');
          // A chunk of none would end the body, and what follows would be read as another request.
          if (!isOpen || bytes.length === 0) return undefined;
          socket.cork();
          socket.write(`${bytes.length.toString(16)}\r\n`);
          socket.write(bytes);
          const hasRoom = socket.write('\r\n');
          socket.uncork();
          return hasRoom ? undefined : untilRoom();
        },
        end() {
          if (isOpen && isAsked) socket.write('0\r\n\r\n');
          return status;
        },
      };
    },
    moveBody: (to) =>
      new Promise((resolve, reject) => {
        const settle = (error: Error | null): void => {
          to.off('close', wentAway);
          fail = () => undefined;
          take = refuseBytes;
          if (error === null) {
            socket.resume();
            resolve();
            return;
          }
          socket.destroy();
          reject(error);
        };
        const wentAway = (): void => settle(new Error('the client went away'));
        fail = settle;
        to.once('close', wentAway);
        const hand = (bytes: Buffer): boolean => {
          left -= bytes.length;
          if (!(left >= 0)) {
            settle(new Error('the worker sent more than it said'));
            return true;
          }
          to.write(bytes, (error) => {
            if (error) settle(error);
            else if (left === 0) settle(null);
            else socket.resume();
          });
          return false; // its buffer is still to be written
        };
        take = hand;
        if (!isOpen) settle(new Error('the worker closed the connection'));
        else if (early.length > 0) hand(early);
        else if (left === 0) settle(null);
        else socket.resume();
        early = Buffer.alloc(0);
      }),
    limitIdle: (ms) => void socket.setTimeout(ms),
    isOpen: () => isOpen,
    isFree: () => isOpen && left === 0 && early.length === 0,
    close: () => socket.destroy(),
    onClose: (callback) => void socket.once('close', callback),
  };
}

function hasNoBody({ statusCode }: AnswerHead): boolean {
  return statusCode === 100 || statusCode === 204;
}

/** `HTTP/1.1 200 OK` and lines `Name: value`; null for anything else. */
function parseHead(text: string): AnswerHead | null {
  const [first = '', ...lines] = text.split('\r\n');
  const statusCode = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1];
  if (statusCode === undefined) return null;
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return { statusCode: Number(statusCode), headers: Object.fromEntries(headers) };
}
