/** Runs commands on a system as one of its users: argv in, output and exit code out, bounded in time and size. */
import type { Logger } from 'pino';
import { commandLine, type Word } from '../../shared/commands/command-line.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type LoopBounds, loopLineCharsMax } from './command-loop.ts';
import type { ConnectionPool } from './connection-pool.ts';
import type { CommandEnd, ObservedCommand } from './observe-command.ts';
import { connectionLost } from './open-channel.ts';
import { type ChannelEnd, driveChannel } from './remote-command.ts';
import { createWaitingShell } from './waiting-shell.ts';
import { createWarmCommands } from './warm-commands.ts';

/** How one command runs. */
export interface RunOptions {
  /**
   * Written to the command's standard input, which is then closed; none means an empty input. With a promise the command
   * starts at once and waits for it; where it rejects, the command is ended and `run` rejects with that reason. A stream
   * is read no faster than the command reads; what breaks it ends the command in the same way.
   */
  readonly stdin?: string | Buffer | Promise<string | Buffer> | AsyncIterable<Buffer>;
  /**
   * Takes the standard output as it comes; `run` then resolves with none. While what it returns is waited for, the command
   * is held back; where that rejects, the command is ended and `run` rejects with that reason.
   */
  readonly onOutput?: (chunk: Buffer) => undefined | Promise<void>;
  /** Whether the output so far is all that is wanted: `run` then resolves without an exit code, and the command goes on to its end. */
  readonly isAnswered?: (stdout: Buffer) => boolean;
  /** Default: the system's commandTimeoutMs. Enforced on the remote side by `timeout -k`, and here a little later. */
  readonly timeoutMs?: number;
  /** Bound of stdout and stderr together. Default: the system's outputBytesMax. */
  readonly outputBytesMax?: number;
  /** Aborting sends SIGTERM, then SIGKILL to the remote process; `run` rejects when that process is gone. */
  readonly signal?: AbortSignal;
  /** Added to the command's environment; names must be shell identifiers. */
  readonly env?: Readonly<Record<string, string>>;
  /** Takes `LC_ALL` out of the environment: for a command that hands its environment on. */
  readonly unsetsLocale?: boolean;
  /** Working directory. */
  readonly cwd?: Word;
  /**
   * Whether it may take over a shell that was started ahead, and have one started for the next: for commands of which
   * another one often follows, and whose client waits.
   */
  readonly usesWaitingShell?: boolean;
  /**
   * Whether it may run in the user's command loop, and have one started for those that follow: for short commands whose client
   * waits. One that takes a time keeps others out, which then have a channel of their own. Its input is empty, its output kept.
   */
  readonly usesCommandLoop?: boolean;
  /** On whose behalf it runs, for who observes commands. */
  readonly origin?: unknown;
}

/** What a command left behind. A non-zero exit code is a result, not an error. */
export interface RunResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Null when a signal ended the command, and when it was answered early. */
  readonly exitCode: number | null;
  /** It was `isAnswered` before it ended. */
  readonly isEarly?: true;
  /** Without the `SIG` prefix. */
  readonly signalName?: string;
}

/** Commands as one user of one system. May be used concurrently; each run takes one channel slot. */
export interface RemoteShell {
  /**
   * Runs argv. Throws InvalidRequest (NUL byte, line too long), SshNoChannel, SshUnavailable (detail `{sent}` says
   * whether the command may have started), SshCredentialsRefused, HostKeyMismatch, CommandTimeout, OutputTooLarge, and
   * on abort the signal's reason when it is a BrokerError, else TaskCanceled.
   */
  run(argv: readonly Word[], options?: RunOptions): Promise<RunResult>;
}

/** What `run` assumes where its caller says nothing. */
export interface ShellDefaults {
  readonly timeoutMs: number;
  readonly outputBytesMax: number;
  readonly log: Logger;
  readonly observe?: (command: Omit<ObservedCommand, 'system'>) => (end: CommandEnd) => void;
}

/** From SIGTERM to SIGKILL, on the remote side. */
const killAfterSeconds = 2;
/** How long a shell waits for the next command. */
const waitingShellKeepMs = 60_000;
/** Longest life of a command loop that is used. */
const commandLoopLifeMs = 600_000;
/** A clock may be a little off, and `timeout` starts a little later than we do. */
const timeoutToleranceMs = 100;

export function createRemoteShell(
  pool: Pick<ConnectionPool, 'open' | 'hasSpare'>,
  username: string,
  defaults: ShellDefaults,
): RemoteShell {
  const waitingShell = createWaitingShell(pool, username, {
    keepMs: waitingShellKeepMs,
    observe: defaults.observe,
  });
  const warmCommands = createWarmCommands(pool, username, {
    ...{ idleMs: waitingShellKeepMs, lifeMs: commandLoopLifeMs },
    observe: defaults.observe,
  });

  async function run(argv: readonly Word[], options: RunOptions = {}): Promise<RunResult> {
    const ended = defaults.observe?.({ username, argv, origin: options.origin });
    const place: Pick<CommandEnd, 'isInLoop'> = {};
    try {
      const result = await runUnobserved(argv, options, place);
      ended?.({ ...endOf(result), ...place });
      return result;
    } catch (error) {
      ended?.({ exitCode: null, error: error instanceof BrokerError ? error.code : 'Internal', ...place });
      throw error;
    }
  }

  /** The user's loop, where the command may run in it and it is free. */
  function freeLoop(
    { usesCommandLoop, signal }: RunOptions,
    line: () => string,
  ): ((bounds: LoopBounds) => Promise<ChannelEnd>) | undefined {
    if (!usesCommandLoop || signal?.aborted) return undefined;
    const loop = warmCommands.take();
    const text = loop && line();
    if (loop === undefined || text === undefined || text.length > loopLineCharsMax) return undefined;
    return (bounds) => loop.run(text, bounds);
  }

  async function runUnobserved(
    argv: readonly Word[],
    options: RunOptions,
    place: Pick<CommandEnd, 'isInLoop'>,
  ): Promise<RunResult> {
    const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
    const { env, cwd, signal, unsetsLocale, isAnswered, onOutput } = options;
    const lineOptions = {
      timeoutSeconds: timeoutMs / 1000,
      killAfterSeconds,
      ...(env ? { env } : {}),
      ...(unsetsLocale ? { unsetsLocale } : {}),
      ...(cwd === undefined ? {} : { cwd }),
    };
    const line = commandLine(argv, lineOptions);
    const lineForSh = (): string => commandLine(argv, { ...lineOptions, isForSh: true });
    const bounds: LoopBounds = {
      outputBytesMax: options.outputBytesMax ?? defaults.outputBytesMax,
      deadlineMs: timeoutMs + killAfterSeconds * 1000 + 1_000,
      killAfterMs: killAfterSeconds * 1000 + 500,
      ...(signal ? { signal } : {}),
    };
    const inLoop = freeLoop(options, lineForSh);
    if (inLoop) place.isInLoop = true;
    let startedAt = performance.now();
    const inChannel = async (): Promise<ChannelEnd> => {
      const ready = options.usesWaitingShell && !signal?.aborted ? waitingShell.take(lineForSh) : undefined;
      const channel = ready ?? (await pool.open(username, { exec: line }, signal));
      if (options.usesWaitingShell) waitingShell.prepare();
      if (options.usesCommandLoop) warmCommands.prepare();
      startedAt = performance.now();
      return await driveChannel(channel, {
        ...bounds,
        stdin: options.stdin ?? '',
        ...(isAnswered ? { isAnswered } : {}),
        ...(onOutput ? { onOutput } : {}),
      });
    };
    try {
      const end = await (inLoop ? inLoop(bounds) : inChannel());
      if (!end.isGone && !end.isEarly)
        defaults.log.warn({ username, argv0: String(argv[0]) }, 'no word that the remote process ended');
      return resultOf(end, performance.now() - startedAt >= timeoutMs - timeoutToleranceMs, timeoutMs);
    } catch (error) {
      throw signal?.aborted && error === signal.reason ? canceled(signal) : error;
    }
  }
  return { run };
}

function endOf({ exitCode, signalName, isEarly }: RunResult): CommandEnd {
  if (isEarly) return { exitCode, isEarly };
  return signalName === undefined ? { exitCode } : { exitCode, error: `SIG${signalName}` };
}

function resultOf(end: ChannelEnd, isOverdue: boolean, timeoutMs: number): RunResult {
  const { stdout, stderr, exitCode, signalName, stopped, isEarly } = end;
  if (isEarly) return { stdout, stderr, exitCode: null, isEarly: true };
  if (stopped?.why === 'abort') throw canceled(stopped.signal);
  if (stopped?.why === 'input') throw stopped.reason;
  if (stopped?.why === 'output') throw new BrokerError('OutputTooLarge', 'Command output exceeded buffer limit.');
  const isTimeoutExit = exitCode === 124 || exitCode === 137 || signalName === 'KILL' || signalName === 'TERM';
  if (stopped?.why === 'deadline' || (isOverdue && isTimeoutExit)) {
    throw new BrokerError('CommandTimeout', 'Command execution timeout limit exceeded.', {
      detail: { timeoutMs, isGone: end.isGone, stderr: stderr.toString().slice(0, 1_000) },
    });
  }
  if (exitCode === undefined && signalName === undefined) throw connectionLost({ sent: true });
  return { stdout, stderr, exitCode: exitCode ?? null, ...(signalName ? { signalName } : {}) };
}

function canceled(signal: AbortSignal): BrokerError {
  if (signal.reason instanceof BrokerError) return signal.reason;
  return new BrokerError('TaskCanceled', 'The command was canceled.', { cause: signal.reason });
}
