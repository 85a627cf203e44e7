/** Follows one command on an open exec channel to its end, and ends it early when it must: abort, deadline, output. */
import type { ClientChannel } from 'ssh2';
import type { LentChannel } from './connection-pool.ts';
import { endProcess } from './end-process.ts';

/** The bounds of one command. */
export interface DriveOptions {
  /** A promise that rejects ends the command, which then has read nothing. What breaks a stream ends it as well. */
  readonly stdin: string | Buffer | Promise<string | Buffer> | AsyncIterable<Buffer>;
  /** Takes the output as it comes, of which none is kept then; what it returns is waited for, and where it rejects the command is ended. */
  readonly onOutput?: (chunk: Buffer) => undefined | Promise<void>;
  /** Whether the output so far is all that is wanted. */
  readonly isAnswered?: (stdout: Buffer) => boolean;
  readonly outputBytesMax: number;
  /** Longer than the remote `timeout`, which is meant to act first. */
  readonly deadlineMs: number;
  /** From SIGTERM to SIGKILL; another second later the channel is given up. */
  readonly killAfterMs: number;
  readonly signal?: AbortSignal;
}

/** Why a command was ended before its time. */
export type Stopped =
  | { readonly why: 'output' | 'deadline' }
  | { readonly why: 'abort'; readonly signal: AbortSignal }
  | { readonly why: 'input'; readonly reason: unknown };

export interface ChannelEnd {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number | undefined;
  /** Without `SIG`. */
  readonly signalName: string | undefined;
  readonly stopped: Stopped | undefined;
  /** The server reported the end of the process; false when it did not even after SIGKILL. */
  readonly isGone: boolean;
  /** The output was enough before the process had ended. */
  readonly isEarly: boolean;
}

/** A process that ended but left its output open to others is not waited for longer than this after its last byte. */
const lingerMs = 2_000;
/** Of an input that comes as a stream. */
const pumpedAheadBytes = 2 ** 16;
/** Who takes the output as it comes may be slow about it. */
const takerLingerMs = 60_000;

/**
 * Resolves when the channel is closed or given up, and has then given back its slot; where the output is enough, earlier:
 * the command then ends by itself, within its bounds. Never rejects.
 */
export function driveChannel(channel: LentChannel, options: DriveOptions): Promise<ChannelEnd> {
  const { stream } = channel;
  return new Promise((resolve) => {
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[], bytes: 0 };
    const timers = new Set<NodeJS.Timeout>();
    let stopped: Stopped | undefined;
    let linger: NodeJS.Timeout | undefined;
    let endWaiting: (() => void) | undefined;

    const after = (waitMs: number, act: () => void): NodeJS.Timeout => {
      const timer = setTimeout(act, waitMs);
      timers.add(timer);
      return timer;
    };
    const finish = (isGone: boolean) => {
      for (const timer of timers) clearTimeout(timer);
      endWaiting?.();
      options.signal?.removeEventListener('abort', abort);
      stream.removeListener('close', closed);
      channel.release(isGone ? 'done' : 'stuck');
      const exit = channel.exit();
      resolve({
        ...outputSoFar(),
        exitCode: exit?.code,
        signalName: exit?.signalName,
        stopped,
        isGone,
        isEarly: false,
      });
    };
    const outputSoFar = () => ({ stdout: Buffer.concat(output.stdout), stderr: Buffer.concat(output.stderr) });
    const answerEarly = () => {
      if (stopped || !options.isAnswered?.(Buffer.concat(output.stdout))) return;
      options.signal?.removeEventListener('abort', abort);
      const open = { exitCode: undefined, signalName: undefined, stopped, isGone: false };
      resolve({ ...outputSoFar(), ...open, isEarly: true });
    };
    const closed = () => finish(channel.exit() !== undefined);
    const giveUp = () => {
      stream.close();
      finish(channel.exit() !== undefined);
    };
    const stop = (reason: Stopped) => {
      if (stopped) return;
      stopped = reason;
      endWaiting = endProcess(channel, options.killAfterMs, giveUp);
    };
    const abort = () => options.signal && stop({ why: 'abort', signal: options.signal });
    const collect = (chunks: Buffer[]) => (chunk: Buffer) => {
      linger?.refresh();
      output.bytes += chunk.length;
      if (output.bytes > options.outputBytesMax) stop({ why: 'output' });
      else if (!stopped) chunks.push(chunk);
    };

    const fail = (reason: unknown) => stop({ why: 'input', reason });
    if (options.onOutput) handOut(stream, options.onOutput, () => linger?.refresh(), fail);
    else stream.on('data', collect(output.stdout));
    if (options.isAnswered) stream.on('data', answerEarly);
    stream.stderr.on('data', collect(output.stderr));
    const waitForRest = () => {
      linger = after(options.onOutput ? takerLingerMs : lingerMs, giveUp);
    };
    if (channel.exit()) waitForRest();
    else stream.once('exit', waitForRest);
    stream.on('error', () => undefined); // writing to a command that ended; its exit tells the story
    stream.once('close', closed);
    options.signal?.addEventListener('abort', abort, { once: true });
    after(options.deadlineMs, () => stop({ why: 'deadline' }));
    if (options.stdin instanceof Promise) {
      options.stdin.then((input) => stream.end(input), fail);
    } else if (typeof options.stdin === 'string' || Buffer.isBuffer(options.stdin)) stream.end(options.stdin);
    else pump(options.stdin, stream).catch(fail);
    if (options.signal?.aborted) abort();
  });
}

/** One chunk at a time, while the server may send no more than the channel's window ahead. */
function handOut(
  stream: ClientChannel,
  take: (chunk: Buffer) => undefined | Promise<void>,
  onTaken: () => void,
  fail: (reason: unknown) => void,
): void {
  stream.on('data', (chunk: Buffer) => {
    onTaken();
    const taking = take(chunk);
    if (!taking) return;
    stream.pause();
    taking.then(() => {
      onTaken();
      stream.resume();
    }, fail);
  });
}

/**
 * Writes little further ahead than the server takes, and not the 2 MiB that a channel would let wait: what waits longer than a
 * moment is costly to free. Ends early where the command does.
 */
async function pump(source: AsyncIterable<Buffer>, stream: ClientChannel): Promise<void> {
  let goOn = (): void => undefined;
  stream.on('close', () => goOn());
  for await (const chunk of source) {
    if (!stream.writable) return;
    stream.write(chunk, () => goOn());
    while (stream.writableLength > pumpedAheadBytes && stream.writable) {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
  }
  stream.end();
}
