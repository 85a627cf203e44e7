/** The file loop of one user that stays: started with the first file or directory that it may send, for those that follow. */
import { FileLoopLost } from './arrivals.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { type FileLoop, NoFileLoop, startFileLoop } from './file-loop.ts';
import { fileLoopArgv, fileLoopLine } from './file-loop-program.ts';
import { openLasting, startWithRoom } from './lasting-channel.ts';
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
    const begin = (): void => {
      channel.park(false);
      idle.refresh();
    };
    const rest = (): void => {
      channel.park(true);
      idle.refresh();
      if (current !== kept) loop.close(); // it was to leave meanwhile
    };
    const kept: FileLoop = {
      get isFree() {
        return loop.isFree;
      },
      async ask(path, bytesMax, limits) {
        begin();
        const file = await loop.ask(path, bytesMax, limits);
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
      async list(path, entriesMax, limits, take) {
        begin();
        const isDone = await loop.list(path, entriesMax, limits, take);
        rest();
        return isDone;
      },
      close: () => loop.close(),
    };
    current = kept;
    const isUsable = await kept.ask(trialPath, 1, trialLimits).then(
      (answer) => answer === null,
      (error: unknown) => isLostOnly(error) && channel.exit() === undefined,
    );
    if (isUsable) return;
    unusableUntil = performance.now() + retryAfterMs;
    loop.close();
  }

  const isWanted = (): boolean => current === undefined && performance.now() >= unusableUntil;
  return {
    take: () => (current?.isFree ? current : undefined),
    prepare: startWithRoom(pool, username, { isWanted, start }),
  };
}

/** A connection that was lost says nothing of the host. */
function isLostOnly(error: unknown): boolean {
  return error instanceof FileLoopLost && !(error instanceof NoFileLoop);
}
