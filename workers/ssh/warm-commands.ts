/** The command loop of one user that stays between commands: started with the first that may use it, for those that follow. */
import { type CommandLoop, commandLoopArgv, commandLoopLine, startCommandLoop } from './command-loop.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { openLasting } from './lasting-channel.ts';
import type { ShellDefaults } from './remote-shell.ts';

export interface WarmCommands {
  /** Undefined where there is none, or it runs a command. */
  take(): CommandLoop | undefined;
  /** Starts one where there is none, and room to spare. Never throws; a failure is left to the next command. */
  prepare(): void;
}

/** `idleMs`: how long one waits for a command; `lifeMs`: what a user changes in the start-up files of the shell is seen that much later. */
export function createWarmCommands(
  pool: Pick<ConnectionPool, 'open' | 'hasSpare'>,
  username: string,
  { idleMs, lifeMs, observe }: { idleMs: number; lifeMs: number; observe: ShellDefaults['observe'] },
): WarmCommands {
  let current: CommandLoop | undefined;
  let isStarting = false;

  async function start(): Promise<void> {
    const opening = { argv: commandLoopArgv, line: commandLoopLine };
    const { channel, ended } = await openLasting(pool, username, opening, observe);
    const leave = (): void => {
      if (current === kept) current = undefined;
      loop.close();
    };
    const idle = setTimeout(leave, idleMs).unref();
    const life = setTimeout(leave, lifeMs).unref();
    const loop = startCommandLoop(channel, (exitCode) => {
      forget();
      clearTimeout(idle);
      clearTimeout(life);
      if (current === kept) current = undefined;
      ended({ exitCode: exitCode ?? null });
    });
    const kept: CommandLoop = {
      get isFree() {
        return loop.isFree;
      },
      async run(line, bounds) {
        channel.park(false);
        try {
          return await loop.run(line, bounds);
        } finally {
          channel.park(true);
          idle.refresh();
        }
      },
      close: leave,
    };
    const forget = channel.connection.whenRetired(leave);
    channel.park(true);
    current = kept;
  }

  return {
    take: () => (current?.isFree ? current : undefined),
    prepare() {
      if (current !== undefined || isStarting || !pool.hasSpare(username)) return;
      isStarting = true;
      start()
        .catch(() => undefined)
        .finally(() => {
          isStarting = false;
        });
    },
  };
}
