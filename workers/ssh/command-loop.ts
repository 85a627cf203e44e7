/**
 * One long-lived POSIX `sh` of a user on an exec channel that runs short commands one after another, without a channel, a fork
 * of sshd and a login shell for each. A command comes as a line that `commandLine` made; its end is told by a mark that
 * no command can know, with the exit code.
 */
import { randomBytes } from 'node:crypto';
import { commandLine } from '../../shared/commands/command-line.ts';
import type { LentChannel } from './connection-pool.ts';
import { endProcess } from './end-process.ts';
import type { ChannelEnd, DriveOptions, Stopped } from './remote-command.ts';

/**
 * Each command is a child that has /dev/null for its input. It runs in the background, since only `wait` is broken off by a
 * signal: SIGTERM is handed on to the child, which is waited for, and then ends the loop. Without a child it ends the loop at once.
 */
const program = `unset GOLDCREST_MARK GOLDCREST_LINE GOLDCREST_CHILD GOLDCREST_CODE GOLDCREST_ENDED GOLDCREST_BUSY TMOUT
trap 'GOLDCREST_ENDED=1; [ "$GOLDCREST_BUSY" ] || exit 143; [ "$GOLDCREST_CHILD" ] && kill -TERM "$GOLDCREST_CHILD" 2>/dev/null' TERM
while IFS= read -r GOLDCREST_MARK && IFS= read -r GOLDCREST_LINE; do
  GOLDCREST_BUSY=1
  (trap - TERM; eval "$GOLDCREST_LINE") </dev/null &
  GOLDCREST_CHILD=$!
  [ "$GOLDCREST_ENDED" ] && kill -TERM "$GOLDCREST_CHILD" 2>/dev/null
  wait "$GOLDCREST_CHILD"
  GOLDCREST_CODE=$?
  while [ "$GOLDCREST_ENDED" = 1 ]; do GOLDCREST_ENDED=2; wait "$GOLDCREST_CHILD"; done
  GOLDCREST_CHILD= GOLDCREST_BUSY=
  [ "$GOLDCREST_ENDED" ] && exit 143
  printf '\\n%s %d\\n' "$GOLDCREST_MARK" "$GOLDCREST_CODE" >&2
  printf '\\n%s %d\\n' "$GOLDCREST_MARK" "$GOLDCREST_CODE"
done`;

/** What the login shell is asked to run. */
export const commandLoopArgv = ['sh', '-c', program];

export const commandLoopLine = commandLine(commandLoopArgv);

/** `sh` reads a byte at a time from what is no file: longer lines go by a channel of their own. */
export const loopLineCharsMax = 4_096;

/** The bounds of one command. */
export type LoopBounds = Pick<DriveOptions, 'outputBytesMax' | 'deadlineMs' | 'killAfterMs' | 'signal'>;

export interface CommandLoop {
  /** It is open and runs nothing. */
  readonly isFree: boolean;
  /** Runs a line for `sh` of one command, where it is free. Never rejects. What must be ended before its time ends the loop. */
  run(line: string, bounds: LoopBounds): Promise<ChannelEnd>;
  /** Now, or when the command that runs has ended. */
  close(): void;
}

/** The command that runs. */
interface Running {
  take(which: 'stdout' | 'stderr', chunk: Buffer): void;
  /** The loop has ended before it said how the command did. */
  lost(isGone: boolean): void;
}

/** Takes over the channel. */
export function startCommandLoop(channel: LentChannel, onEnd: (exitCode: number | undefined) => void): CommandLoop {
  const { stream } = channel;
  let running: Running | undefined;
  let isOpen = true;
  let isLeaving = false;

  function end(): void {
    if (!isOpen) return;
    isOpen = false;
    const exit = channel.exit();
    stream.close();
    channel.release(exit === undefined && running !== undefined ? 'stuck' : 'done');
    running?.lost(exit !== undefined);
    onEnd(exit?.code);
  }

  // What comes while nothing runs is nobody's: a start-up file of the login shell printed it.
  stream.on('data', (chunk: Buffer) => running?.take('stdout', chunk));
  stream.stderr.on('data', (chunk: Buffer) => running?.take('stderr', chunk));
  stream.on('error', () => undefined); // its close follows
  stream.once('close', end);

  return {
    get isFree() {
      return isOpen && !isLeaving && running === undefined && channel.exit() === undefined;
    },
    async run(line, bounds) {
      const ended = await new Promise<ChannelEnd>((resolve) => {
        const mark = randomBytes(16).toString('hex');
        running = follow(channel, mark, bounds, end, resolve);
        stream.write(`${mark}\n${line}\n`);
      });
      running = undefined;
      if (isLeaving) end();
      return ended;
    },
    close() {
      isLeaving = true;
      if (running === undefined) end();
    },
  };
}

/** Follows one command to the marks in both outputs, or to the end of its loop. */
function follow(
  channel: LentChannel,
  mark: string,
  { outputBytesMax, deadlineMs, killAfterMs, signal }: LoopBounds,
  giveUp: () => void,
  resolve: (end: ChannelEnd) => void,
): Running {
  const output = { stdout: createMarkedOutput(mark), stderr: createMarkedOutput(mark) };
  let stopped: Stopped | undefined;
  let stopEnding: (() => void) | undefined;
  const stop = (reason: Stopped): void => {
    if (stopped) return;
    stopped = reason;
    stopEnding = endProcess(channel, killAfterMs, giveUp);
  };
  const abort = (): void => signal && stop({ why: 'abort', signal });
  const deadline = setTimeout(() => stop({ why: 'deadline' }), deadlineMs);
  const settle = (exitCode: number | undefined, isGone: boolean): void => {
    clearTimeout(deadline);
    stopEnding?.();
    signal?.removeEventListener('abort', abort);
    const [stdout, stderr] = [output.stdout.bytes(), output.stderr.bytes()];
    resolve({ stdout, stderr, exitCode, signalName: undefined, stopped, isGone, isEarly: false });
  };
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  return {
    take(which, chunk) {
      if (stopped) return; // the end of the loop is waited for
      output[which].add(chunk);
      const { exitCode } = output.stdout;
      if (exitCode !== undefined && output.stderr.exitCode !== undefined) settle(exitCode, true);
      else if (output.stdout.length + output.stderr.length > outputBytesMax) stop({ why: 'output' });
    },
    lost: (isGone) => settle(undefined, isGone),
  };
}

/** The output of one command up to the line with its mark and its exit code. */
function createMarkedOutput(mark: string) {
  const end = Buffer.from(`\n${mark} `);
  const chunks: Buffer[] = [];
  let length = 0;
  let exitCode: number | undefined;
  /** The last bytes, in which the mark may have begun. */
  let tail: Buffer = Buffer.alloc(0);
  return {
    add(chunk: Buffer): void {
      if (exitCode !== undefined) return;
      chunks.push(chunk);
      length += chunk.length;
      const searched = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
      const at = searched.indexOf(end);
      const code =
        at < 0 ? null : /^(\d{1,3})\n/.exec(searched.toString('latin1', at + end.length, at + end.length + 4));
      if (code === null) tail = Buffer.from(searched.subarray(at < 0 ? -(end.length + 4) : at));
      else {
        exitCode = Number(code[1]);
        length -= searched.length - at;
      }
    },
    bytes: (): Buffer => Buffer.concat(chunks, length),
    get length() {
      return length;
    },
    get exitCode() {
      return exitCode;
    },
  };
}
