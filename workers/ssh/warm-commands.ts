/** The command loop of one user that stays between commands: started with the first that may use it, for those that follow. */
import { type CommandLoop, commandLoopArgv, commandLoopLine, startCommandLoop } from './command-loop.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { openLasting, startWithRoom } from './lasting-channel.ts';
import type { ShellDefaults } from './remote-shell.ts';

export interface WarmCommands {
  /** Undefined where there is none, or it runs a command. */
  take(): CommandLoop | undefined;
  /** Starts one where there is none, and room to spare. Never throws; a failure is left to the next command. */
  prepare(): void;
}

/** What a loop has to do before it is given a command: a host may run something else in the place of what it is asked to. */
const trialExitCode = 7;
const trialLine = `exit ${trialExitCode}`;
const trialBounds = { outputBytesMax: 64 * 1024, deadlineMs: 10_000, killAfterMs: 1_000 };
const retryAfterMs = 10 * 60_000;

/** `idleMs`: how long one waits for a command; `lifeMs`: what a user changes in the start-up files of the shell is seen that much later. */
export function createWarmCommands(
  pool: Pick<ConnectionPool, 'open' | 'hasSpare'>,
  username: string,
  { idleMs, lifeMs, observe }: { idleMs: number; lifeMs: number; observe: ShellDefaults['observe'] },
): WarmCommands {
  let current: CommandLoop | undefined;
  let unusableUntil = 0;

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
    const { exitCode, isGone } = await kept.run(trialLine, trialBounds);
    if (exitCode === trialExitCode && isGone) current = kept;
    else {
      unusableUntil = performance.now() + retryAfterMs;
      leave();
    }
  }

  const isWanted = (): boolean => current === undefined && performance.now() >= unusableUntil;
  return {
    take: () => (current?.isFree ? current : undefined),
    prepare: startWithRoom(pool, username, { isWanted, start }),
  };
}
