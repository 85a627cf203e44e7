/**
 * One long-lived perl of a user on an exec channel that sends whole regular files, one after another, as plain bytes: without a
 * request, an answer and a packet of SFTP for each piece, and in the same message as the look at the file.
 */
import type { Readable } from 'node:stream';
import { commandLine } from '../../shared/commands/command-line.ts';
import { sshString } from '../../shared/ssh/wire.ts';
import type { LentChannel } from './connection-pool.ts';
import type { TakeChunk } from './open-file.ts';

/** How the program ends where a file has become shorter while it was sent. */
const shortenedExitCode = 3;

/**
 * Reads frames {length, `<most bytes> <path>`}. Answers `F <size> <mtime>` and a line break, and then so many bytes; or `-` and a
 * line break for what is not its affair: no regular file, empty, too large, or not to be opened. What is no regular file is not
 * opened, and if it became one meanwhile it is not waited for. Ends at the end of its input.
 */
const script = `require Fcntl;
my $in = '';
binmode STDIN; binmode STDOUT;
sub put { my $at = 0; while ($at < length $_[0]) { my $n = syswrite STDOUT, $_[0], length($_[0]) - $at, $at; exit 1 unless $n; $at += $n } }
sub reading {
  my ($path, $file) = @_;
  return unless stat $path and -f _;
  sysopen $file, $path, Fcntl::O_RDONLY() | Fcntl::O_NONBLOCK() | Fcntl::O_NOCTTY() or return;
  return stat $file && -f _ ? $file : undef;
}
sub answer {
  my ($most, $path) = split / /, $_[0], 2;
  my $file = reading($path);
  my ($size, $time) = $file ? (stat $file)[7, 9] : (0, 0);
  return put("-\\n") if $size < 1 || $size > $most;
  my ($data, $left) = ("F $size $time\\n", $size);
  while ($left > 0) {
    my $n = sysread $file, $data, ($left < 262144 ? $left : 262144), length $data;
    exit 4 unless defined $n;
    exit ${shortenedExitCode} unless $n;
    put($data);
    $data = '';
    $left -= $n;
  }
}
while (sysread STDIN, $in, 65536, length $in) {
  while (length $in >= 4) {
    my $length = unpack 'N', $in;
    last if length $in < 4 + $length;
    my $asked = substr $in, 4, $length;
    substr($in, 0, 4 + $length) = '';
    answer($asked);
  }
}`;

/** What the login shell is asked to run. */
export const fileLoopArgv = ['perl', '-e', script];

export const fileLoopLine = commandLine(fileLoopArgv, { env: { PERL5OPT: '', PERL_UNICODE: '0' } });

/** The loop ended, or was dropped, before it had sent what was asked for. */
export class FileLoopLost extends Error {
  override readonly name = 'FileLoopLost';
}

/** No byte came within the time. */
export class FileLoopOverdue extends Error {
  override readonly name = 'FileLoopOverdue';
}

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

export interface WaitLimits {
  /** Longest wait for the next byte. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface FileLoop {
  /** It is open and sends nothing. */
  readonly isFree: boolean;
  /**
   * Asks for a file of at most so many bytes, where the loop is free; null where that is not its affair. The file is to be streamed,
   * or the loop closed. Rejects as `stream` does.
   */
  ask(path: Buffer, bytesMax: number, limits: WaitLimits): Promise<ComingFile | null>;
  close(): void;
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

  async function readHead(limits: WaitLimits): Promise<{ line: string; rest: Buffer }> {
    let head = await arrived.next(limits);
    while (!head.includes(lineBreak) && head.length < headBytesMax) {
      head = Buffer.concat([head, await arrived.next(limits)]);
    }
    const at = head.indexOf(lineBreak);
    return { line: head.toString('latin1', 0, Math.max(0, at)), rest: head.subarray(at + 1) };
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
    ask(path, bytesMax, limits) {
      return orEnd(async () => {
        if (arrived.length > 0) throw new FileLoopLost('Something else wrote to the standard output of the loop');
        isBusy = true;
        stream.write(sshString(Buffer.concat([Buffer.from(`${bytesMax} `), path])));
        const { line, rest } = await readHead(limits);
        if (line === '-' && rest.length === 0) {
          isBusy = false;
          return null;
        }
        const [, size, time] = /^F ([1-9]\d*) (-?\d+)$/.exec(line) ?? [];
        if (size === undefined) throw new FileLoopLost('Something else answered in the place of the loop');
        const sizeBytes = Number(size);
        const streamOnce: ComingFile['stream'] = (take) =>
          orEnd(async () => {
            const count = await handOver(sizeBytes, rest, take, limits);
            isBusy = false;
            return count;
          });
        return { sizeBytes, mtime: Number(time), stream: streamOnce };
      });
    },
    close: () => end(false),
  };
}

/** Bytes that wait here before the host is held back; as many again are on their way at most eight times (the window of ssh2). */
const waitingBytesMax = 256 * 1024;

/** What has come and was not asked for yet. */
function createArrivals(stream: Readable) {
  const waiting: Buffer[] = [];
  let length = 0;
  let isOver = false;
  let wake: () => void = () => undefined;
  stream.on('data', (chunk: Buffer) => {
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
