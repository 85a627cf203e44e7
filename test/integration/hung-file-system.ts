/**
 * A real file system that hangs: a FUSE mount whose device nobody reads, so that whoever touches it waits for ever, as
 * with an NFS server that is away. Source: fuse(4). Needs root.
 */

import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface HungFileSystem {
  readonly path: string;
  /** From now on every look at `path` hangs. */
  hang(): void;
  /** The directory is an ordinary one again. Idempotent. */
  recover(): void;
  remove(): void;
}

/** Begins as an ordinary directory that everybody may read. */
export function createHungFileSystem(): HungFileSystem {
  const path = mkdtempSync(join(tmpdir(), 'gc-hung-'));
  spawnSync('chmod', ['755', path]);
  let device: number | undefined;
  const recover = (): void => {
    if (device === undefined) return;
    run('umount', ['-i', '-l', '-c', path]);
    closeSync(device); // ends the waiting of those who hang
    device = undefined;
  };
  return {
    path,
    hang() {
      device = openSync('/dev/fuse', 'r+');
      const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other';
      run('mount', ['-i', '-t', 'fuse', '-o', options, 'goldcrest-test', path], device);
    },
    recover,
    remove() {
      recover();
      rmdirSync(path);
    },
  };
}

/** The device becomes descriptor 3 of the command, as its options say. */
function run(command: string, args: readonly string[], device?: number): void {
  const stdio = ['ignore', 'ignore', 'pipe', ...(device === undefined ? [] : [device])] as const;
  const { status, stderr } = spawnSync(command, args, { stdio: [...stdio], timeout: 10_000 });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr?.toString()}`);
}
