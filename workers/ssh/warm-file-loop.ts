/** The file loop of one user that stays between files: started with the first file that it may send, for those that follow. */
import type { ConnectionPool } from './connection-pool.ts';
import { type FileLoop, fileLoopArgv, fileLoopLine, startFileLoop } from './file-loop.ts';
import { openLasting } from './lasting-channel.ts';
import type { ShellDefaults } from './remote-shell.ts';

export interface WarmFileLoop {
  /** Undefined where there is none, or it sends a file. */
  take(): FileLoop | undefined;
  /** Starts one where there is none, and room to spare. Never throws; a failure is left to the next file. */
  prepare(): void;
}

/** No file has this path, and a loop has to say so before it is used: a host may run something else in its place, or have no perl. */
const trialPath = Buffer.from('');
const trialLimits = { timeoutMs: 10_000 };
const retryAfterMs = 10 * 60_000;

export function createWarmFileLoop(
  pool: Pick<ConnectionPool, 'open' | 'hasSpare'>,
  username: string,
  { idleMs, observe }: { idleMs: number; observe: ShellDefaults['observe'] },
): WarmFileLoop {
  let current: FileLoop | undefined;
  let isStarting = false;
  let unusableUntil = 0;

  async function start(): Promise<void> {
    const { channel, ended } = await openLasting(pool, username, { argv: fileLoopArgv, line: fileLoopLine }, observe);
    const loop = startFileLoop(channel, (exitCode) => {
      forget();
      clearTimeout(idle);
      if (current === kept) current = undefined;
      ended({ exitCode: exitCode ?? null });
    });
    const leave = (): void => {
      if (current === kept) current = undefined;
      if (loop.isFree) loop.close();
    };
    const forget = channel.connection.whenRetired(leave);
    const idle = setTimeout(leave, idleMs).unref();
    const kept: FileLoop = {
      get isFree() {
        return loop.isFree;
      },
      async ask(path, bytesMax, limits) {
        channel.park(false);
        idle.refresh();
        const file = await loop.ask(path, bytesMax, limits);
        const rest = (): void => {
          channel.park(true);
          idle.refresh();
          if (current !== kept) loop.close(); // it was to leave meanwhile
        };
        if (file === null) rest();
        return (
          file && {
            ...file,
            async stream(take) {
              const count = await file.stream(take);
              rest();
              return count;
            },
          }
        );
      },
      close: () => loop.close(),
    };
    current = kept;
    const answer = await kept.ask(trialPath, 1, trialLimits).catch(() => 'none' as const);
    if (answer === null) return;
    unusableUntil = performance.now() + retryAfterMs;
    loop.close();
  }

  return {
    take: () => (current?.isFree ? current : undefined),
    prepare() {
      const isWanted = current === undefined && !isStarting && performance.now() >= unusableUntil;
      if (!isWanted || !pool.hasSpare(username)) return;
      isStarting = true;
      start()
        .catch(() => undefined)
        .finally(() => {
          isStarting = false;
        });
    },
  };
}
