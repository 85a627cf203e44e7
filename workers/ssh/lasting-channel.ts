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
