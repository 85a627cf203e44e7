/** A folder of a user's in memory, so that what is measured is not the disk of the machine, which Redis writes to as well. */
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LabUser } from '../lab/users.ts';

/** Where such folders are. */
export const memoryRoot = '/dev/shm';

export interface MemoryFolder {
  path: string;
  /** The path of one of its files. */
  at(name: string): string;
  /** With all that is in it. */
  remove(): void;
}

/** It is there, and empty, when this returns. */
export function memoryFolder({ uid, gid }: Pick<LabUser, 'uid' | 'gid'>): MemoryFolder {
  const path = join(memoryRoot, `goldcrest-bench-${randomBytes(4).toString('hex')}`);
  mkdirSync(path);
  chownSync(path, uid, gid);
  return { path, at: (name) => join(path, name), remove: () => rmSync(path, { recursive: true, force: true }) };
}
