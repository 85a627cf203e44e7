/** A directory of a test's own in the home of a user of the lab. Needs root, as the lab does. */
import { randomUUID } from 'node:crypto';
import { chownSync, lchownSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LabUser } from '../../lab/users.ts';

export interface OwnDirectory {
  readonly path: string;
  /** Makes the user the owner of all that was put in. */
  giveAway(): void;
  remove(): void;
}

export function homeDirectory({ home, uid, gid }: LabUser): OwnDirectory {
  const path = join(home, `goldcrest-test-${randomUUID()}`);
  mkdirSync(path);
  chownSync(path, uid, gid);
  return {
    path,
    giveAway() {
      for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
        lchownSync(join(path, name), uid, gid);
      }
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
