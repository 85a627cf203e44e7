/** munged(8) with a key and a socket of this lab's own: the proof of identity among Slurm's daemons and commands. */
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemonAccount, makeOwnedFolder } from '../accounts.ts';
import { startDaemon } from '../daemon.ts';

/** Starts munged; resolves to the path of its socket. */
export async function startMunge(labFolder: string, folder: string): Promise<string> {
  const { uid, gid } = daemonAccount('munge');
  const own = join(folder, 'munge');
  makeOwnedFolder(own, 'munge', 0o755);
  const key = join(own, 'munge.key');
  writeFileSync(key, randomBytes(128), { mode: 0o400 });
  chownSync(key, uid, gid);
  const socket = join(own, 'munge.sock');
  await startDaemon({
    name: 'munged',
    folder: labFolder,
    command: 'munged',
    args: [
      '--foreground',
      `--key-file=${key}`,
      `--socket=${socket}`,
      `--pid-file=${own}/munged.pid`,
      `--seed-file=${own}/seed`,
    ],
    uid,
    gid,
    isReady: () => existsSync(socket),
    readyTimeoutMs: 15_000,
  });
  return socket;
}
