/**
 * A shell of one user that was started ahead and waits for its one command. What sshd and the login shell take to come up,
 * often more than the command itself, is over by then.
 */
import type { ConnectionPool, LentChannel } from './connection-pool.ts';
import { openLasting, startWithRoom } from './lasting-channel.ts';
import type { CommandEnd } from './observe-command.ts';
import type { ShellDefaults } from './remote-shell.ts';

/**
 * Reads one line and becomes the command that it holds; ends with its input where none comes. `read` takes a byte at a time
 * from what is no file, so all that follows the line is the command's own input. Any login shell reads it alike.
 */
const waitProgram = '{ IFS= read -r GOLDCREST_LINE; } && eval "unset GOLDCREST_LINE; $GOLDCREST_LINE"';
const waitLine = `exec sh -c '${waitProgram}'`;

/** A byte at a time is a system call for each: longer lines go the usual way. */
const lineCharsMax = 4_096;

export interface WaitingShell {
  /** The channel of the shell that waits, now that of the command that `makeLine` gives, as `commandLine` makes it for `sh`. Undefined where none waits. */
  take(makeLine: () => string): LentChannel | undefined;
  /** Starts one where none waits or starts, and there is room to spare. Never throws; a failure is left to the next command. */
  prepare(): void;
}

interface Waiting {
  readonly channel: LentChannel;
  /** Leaves it as it is, for who takes it over. */
  readonly takeOver: () => void;
}

/**
 * `keepMs`: how long it waits. What a user changes in the start-up files of the shell is seen that much later. `observe` is
 * told of the shell as of a command: it is a session on the host. That ends early for it where a command takes it over.
 */
export function createWaitingShell(
  pool: Pick<ConnectionPool, 'open' | 'hasSpare'>,
  username: string,
  { keepMs, observe }: { keepMs: number; observe: ShellDefaults['observe'] },
): WaitingShell {
  let waiting: Waiting | undefined;

  function keep(channel: LentChannel, ended: (end: CommandEnd) => void): void {
    const { stream, connection } = channel;
    const handOver = (): void => {
      waiting = undefined;
      clearTimeout(timer);
      forget();
      stream.removeListener('exit', giveUp);
      channel.park(false);
    };
    const giveUp = (): void => {
      handOver();
      ended({ exitCode: channel.exit()?.code ?? null });
      stream.close();
      channel.release();
    };
    const timer = setTimeout(giveUp, keepMs).unref();
    const takeOver = (): void => {
      handOver();
      ended({ exitCode: null, isEarly: true });
    };
    waiting = { channel, takeOver };
    channel.park(true);
    stream.once('exit', giveUp); // a host may end a shell that does nothing
    const forget = connection.whenRetired(giveUp);
    if (channel.exit() !== undefined) giveUp();
  }

  async function start(): Promise<void> {
    const shell = { argv: ['sh', '-c', waitProgram], line: waitLine };
    const { channel, ended } = await openLasting(pool, username, shell, observe);
    channel.stream.on('error', () => undefined); // its close follows
    keep(channel, ended);
  }

  return {
    prepare: startWithRoom(pool, username, { isWanted: () => waiting === undefined, start }),
    take(makeLine) {
      if (waiting === undefined) return undefined;
      const line = makeLine();
      if (line.length > lineCharsMax) return undefined;
      const { channel, takeOver } = waiting;
      takeOver();
      channel.stream.write(`${line}\n`);
      return channel;
    },
  };
}
