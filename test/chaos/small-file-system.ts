/**
 * A real file system that is soon full, in a file of its own: a tmpfs, or a Btrfs with a quota, which is the one quota
 * that works on kernels without CONFIG_QFMT_V2. Needs root.
 */
import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../lab/run-command.ts';
import type { LabUser } from '../../lab/users.ts';

export interface SmallFileSystem {
  /** A directory of the user in it. */
  path: string;
  remove(): Promise<void>;
}

const mebi = 2 ** 20;

/** Mounted at `mountPoint`, which is made; it has room for so many bytes. */
export async function mountSmall(mountPoint: string, bytes: number, owner: LabUser): Promise<SmallFileSystem> {
  mkdirSync(mountPoint);
  await runCommand('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${bytes},uid=${owner.uid},gid=${owner.gid}`,
    'tmpfs',
    mountPoint,
  ]);
  return { path: mountPoint, remove: () => unmount(mountPoint) };
}

/** The user may have so many bytes in it; the file system itself has room. */
export async function mountWithQuota(mountPoint: string, bytes: number, owner: LabUser): Promise<SmallFileSystem> {
  const folder = mkdtempSync(join(tmpdir(), 'gc-quota-'));
  const image = join(folder, 'image');
  mkdirSync(mountPoint);
  await runCommand('truncate', ['--size', String(256 * mebi), image]);
  await runCommand('mkfs.btrfs', ['--quiet', '--mixed', image]);
  await runCommand('mount', ['-o', 'loop', image, mountPoint]);
  const path = join(mountPoint, 'home');
  await runCommand('btrfs', ['quota', 'enable', mountPoint]);
  await runCommand('btrfs', ['subvolume', 'create', path]);
  await runCommand('btrfs', ['qgroup', 'limit', String(bytes), path]);
  chownSync(path, owner.uid, owner.gid);
  const remove = async (): Promise<void> => {
    await unmount(mountPoint);
    rmSync(folder, { recursive: true });
  };
  return { path, remove };
}

async function unmount(mountPoint: string): Promise<void> {
  await runCommand('umount', ['--lazy', mountPoint]);
  rmSync(mountPoint, { recursive: true });
}
