/** One SFTP session on one channel: requests go out at once, answers are matched by id, each with a deadline. */

import { readWire, sshString, uint32, type WireReader } from '../../shared/ssh/wire.ts';
import { batchedWrites, type OnTaken } from './batched-writes.ts';
import type { LentChannel } from './connection-pool.ts';
import { createPacketReader, encodePacket, packet, packetFields, status } from './sftp-wire.ts';

/** The server answered with a status other than OK (EOF included). */
export class SftpStatusError extends Error {
  override readonly name = 'SftpStatusError';
  readonly status: number;

  constructor(code: number, text: string) {
    super(text || `SFTP status ${code}`);
    this.status = code;
  }
}

/** The channel ended or was dropped with the request unanswered. */
export class SftpChannelLost extends Error {
  override readonly name = 'SftpChannelLost';
}

/** The request's own deadline passed; the channel is dropped, since the server answers in order. */
export class SftpDeadlineError extends Error {
  override readonly name = 'SftpDeadlineError';
}

export interface SftpChannel {
  readonly isOpen: boolean;
  /** Requests without an answer. */
  readonly pending: number;
  /** Milliseconds that the oldest of them has waited; 0 without any. */
  readonly oldestPendingMs: number;
  readonly hasPosixRename: boolean;
  /** Most bytes of a file to ask for, or to send, in one request: what every server takes, or more where it says that it does. */
  readonly requestBytes: number;
  /**
   * Fields of the answer (of a status: none). Rejects with SftpStatusError, SftpChannelLost, SftpDeadlineError, or the
   * reason of `signal`, whose abort leaves the channel in use.
   */
  request(type: number, fields: readonly Buffer[], limits: RequestLimits): Promise<WireReader>;
  /** The same of a whole packet, made for its id, whose bytes are the caller's again when `onTaken` is called. */
  requestWith(packetOf: (id: number) => Buffer, limits: RequestLimits, onTaken: OnTaken): Promise<WireReader>;
  /** At once; requests still pending reject with SftpChannelLost. */
  close(): void;
}

export interface RequestLimits {
  /** `performance.now()` at which the answer must be there. */
  readonly deadlineAt: number;
  readonly signal?: AbortSignal | undefined;
}

interface Pending {
  readonly since: number;
  resolve(fields: WireReader): void;
  reject(error: unknown): void;
}

/** OpenSSH sends at most 256 KiB; nobody needs more than this. */
const packetBytesMax = 1024 * 1024;
const version = 3;

const requestBytesOfAll = 32 * 1024;
/** OpenSSH (8.5 and later) takes 255 KiB; half of that costs hardly more, and its first bytes go on sooner. */
export const requestBytesMax = 128 * 1024;
/** By which a server says what it takes: OpenSSH's PROTOCOL, section 4.8. */
const limitsExtension = 'limits@openssh.com';

/** Takes over the channel and starts the session. `onEnd` is called once, `wasStuck` when a deadline ended it. */
export async function startSftp(
  channel: LentChannel,
  limits: RequestLimits,
  onEnd: (wasStuck: boolean) => void,
): Promise<SftpChannel> {
  const { stream } = channel;
  const send = batchedWrites(stream);
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let isOpen = true;
  let hasPosixRename = false;
  let requestBytes = requestBytesOfAll;
  let tellsLimits = false;
  let started: (() => void) | undefined;

  function end(error: Error): void {
    if (!isOpen) return;
    isOpen = false;
    const wasStuck = error instanceof SftpDeadlineError;
    stream.close();
    channel.release(wasStuck ? 'stuck' : 'done');
    for (const waiting of [...pending.values()]) waiting.reject(new SftpChannelLost(error.message, { cause: error }));
    pending.clear();
    onEnd(wasStuck);
  }

  function receive(bytes: Buffer): void {
    const { type, id, fields } = packetFields(bytes);
    if (type === packet.version) {
      const extensions = extensionsOf(bytes);
      hasPosixRename = extensions.has('posix-rename@openssh.com');
      tellsLimits = extensions.has(limitsExtension);
      started?.();
      return;
    }
    const waiting = pending.get(id);
    if (type !== packet.status) {
      waiting?.resolve(fields);
      return;
    }
    const code = fields.uint32();
    if (code === status.ok) waiting?.resolve(fields);
    else waiting?.reject(new SftpStatusError(code, fields.remaining >= 4 ? fields.string().toString() : ''));
  }

  /** One answer to `id`, or the error that ends the wait for it. */
  function wait(id: number, { deadlineAt, signal }: RequestLimits): Promise<WireReader> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        pending.delete(id);
        act();
      };
      const abort = () => settle(() => reject(signal?.reason));
      const overdue = () => {
        const error = new SftpDeadlineError('No answer in time');
        settle(() => reject(error));
        end(error);
      };
      const timer = setTimeout(overdue, Math.max(1, deadlineAt - performance.now()));
      signal?.addEventListener('abort', abort, { once: true });
      pending.set(id, {
        since: performance.now(),
        resolve: (fields) => settle(() => resolve(fields)),
        reject: (error) => settle(() => reject(error)),
      });
    });
  }

  const feed = createPacketReader(packetBytesMax, receive);
  stream.on('data', (chunk: Buffer) => {
    try {
      feed(chunk);
    } catch (cause) {
      end(new Error('The SFTP server sent something unreadable', { cause }));
    }
  });
  stream.stderr.resume();
  stream.on('error', () => undefined); // its close follows
  stream.once('close', () => end(new Error('The SFTP channel was closed')));

  const hello = wait(0, limits);
  started = () => pending.get(0)?.resolve(readWire(Buffer.alloc(0)));
  stream.write(sshString(Buffer.concat([Buffer.from([packet.init]), uint32(version)])));
  await hello;

  async function requestWith(
    packetOf: (id: number) => Buffer,
    within: RequestLimits,
    onTaken?: OnTaken,
  ): Promise<WireReader> {
    within.signal?.throwIfAborted();
    if (!isOpen) throw new SftpChannelLost('The SFTP channel is closed');
    const id = nextId;
    nextId = (nextId + 1) >>> 0 || 1;
    const answer = wait(id, within);
    send(packetOf(id), onTaken);
    return await answer;
  }
  const request: SftpChannel['request'] = (type, fields, within) =>
    requestWith((id) => encodePacket(type, id, ...fields), within);

  if (tellsLimits) requestBytes = await askLimit(() => request(packet.extended, [sshString(limitsExtension)], limits));

  return {
    get isOpen() {
      return isOpen;
    },
    get pending() {
      return pending.size;
    },
    get oldestPendingMs() {
      const [oldest] = pending.values();
      return oldest ? performance.now() - oldest.since : 0;
    },
    get hasPosixRename() {
      return hasPosixRename;
    },
    get requestBytes() {
      return requestBytes;
    },
    request,
    requestWith,
    close: () => end(new Error('The SFTP channel was closed')),
  };
}

/** What the server takes in one request, as it says; where it does not say it after all, what every server takes. */
async function askLimit(ask: () => Promise<WireReader>): Promise<number> {
  try {
    const fields = await ask();
    fields.uint64(); // of a whole packet
    const [read, write] = [Number(fields.uint64()), Number(fields.uint64())];
    // 0: no limit is told.
    const told = [read, write].filter((bytes) => bytes > 0);
    return told.length === 2 ? Math.max(1, Math.min(requestBytesMax, ...told)) : requestBytesOfAll;
  } catch (error) {
    if (error instanceof SftpStatusError || error instanceof RangeError) return requestBytesOfAll;
    throw error;
  }
}

/** Names of the extensions in the server's VERSION packet, which has no id. */
function extensionsOf(bytes: Buffer): Set<string> {
  const fields = readWire(bytes, 5);
  const names = new Set<string>();
  while (fields.remaining >= 8) {
    names.add(fields.string().toString('latin1'));
    fields.string();
  }
  return names;
}
