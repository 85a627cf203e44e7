/** A directory of a test's own in the home of a user of the lab. Needs root, as the lab does. */
import { randomUUID } from 'node:crypto';
import { chownSync, lchownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabUser } from '../../lab/users.ts';
import { namesBelow } from '../names-below.ts';

export interface OwnDirectory {
  readonly path: string;
  /** Path of a file with these bytes, which is the user's. */
  put(name: string, bytes: Buffer | string): string;
  /** Makes the user the owner of all that was put in. */
  giveAway(): void;
  remove(): void;
}

export function homeDirectory({ home, uid, gid }: LabUser): OwnDirectory {
  const path = join(home, `goldcrest-test-${randomUUID()}`);
  mkdirSync(path);
  chownSync(path, uid, gid);
  const giveAway = (): void => {
    for (const name of namesBelow(path)) giveOne(join(path, name), uid, gid);
  };
  return {
    path,
    put(name, bytes) {
      writeFileSync(join(path, name), bytes);
      giveAway();
      return join(path, name);
    },
    giveAway,
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Of what a transfer makes there for a while, nothing may be left by now. */
function giveOne(path: string, uid: number, gid: number): void {
  try {
    lchownSync(path, uid, gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
