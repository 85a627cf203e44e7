/** Opens the channel of a process that stays for a while, and tells who observes commands of its beginning and its end. */
import type { Word } from '../../shared/commands/command-line.ts';
import type { ConnectionPool, LentChannel } from './connection-pool.ts';
import type { CommandEnd } from './observe-command.ts';
import type { ShellDefaults } from './remote-shell.ts';

export interface LastingChannel {
  readonly channel: LentChannel;
  /** To be told once how the process ended. */
  readonly ended: (end: CommandEnd) => void;
}

/** `line` is what the login shell reads of `argv`. Throws what the pool throws, and where the start may not be recorded. */
export async function openLasting(
  pool: Pick<ConnectionPool, 'open'>,
  username: string,
  { argv, line }: { readonly argv: readonly Word[]; readonly line: string },
  observe: ShellDefaults['observe'],
): Promise<LastingChannel> {
  const ended = observe?.({ username, argv, origin: undefined, isLasting: true });
  try {
    const channel = await pool.open(username, { exec: line });
    return { channel, ended: (end) => ended?.(end) };
  } catch (error) {
    ended?.({ exitCode: null, error: 'not opened' });
    throw error;
  }
}

/**
 * The way to have such a process started beforehand, where one is wanted, none is being started and the user has room to spare. It
 * never throws: a failure is left to who would have used the process.
 */
export function startWithRoom(
  pool: Pick<ConnectionPool, 'hasSpare'>,
  username: string,
  { isWanted, start }: { isWanted: () => boolean; start: () => Promise<void> },
): () => void {
  let isStarting = false;
  return () => {
    if (isStarting || !isWanted() || !pool.hasSpare(username)) return;
    isStarting = true;
    start()
      .catch(() => undefined)
      .finally(() => {
        isStarting = false;
      });
  };
}
