/** A directory of alice's own for each test of file operations, and the handlers' context over a real sshd. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { hostileNames } from '../system/hostile-names.ts';
import { type FileContext, type FileHost, openFileHost } from './filesystem-fixture.ts';

/** What a shell would make if it took one of `names` for a command. */
const canary = 'gc-canary-ops';

/** Title and name of files that a shell would trip over. */
export const names = Object.entries(hostileNames(`touch ${canary}`));

export interface OwnTree {
  /** Of the test that runs. */
  readonly own: Pick<OwnDirectory, 'path' | 'giveAway'>;
  readonly host: { context(...over: Parameters<FileHost['context']>): FileContext };
  /** The path of a name in it. */
  at(name: string): string;
  /** Makes files (with their content) and directories (null), given to alice. */
  lay(tree: Record<string, string | null>): void;
  /** Makes a symbolic link, given to alice. */
  link(target: string, name: string): void;
  /** The permission bits of a name. */
  mode(name: string): number;
}

/** Registers what makes and removes the directory, for the tests of one file. */
export function useOwnTree(): OwnTree {
  const { users, sshd } = inject('lab');
  const alice = userNamed(users, 'alice');
  const roots = [alice.home, userNamed(users, 'bob').home, '/tmp', '/srv/deep/root'];
  let host: FileHost;
  let own: OwnDirectory;

  beforeAll(() => {
    host = openFileHost({ sshd }, roots);
  });
  beforeEach(() => {
    own?.remove();
    own = homeDirectory(alice);
  });
  afterAll(async () => {
    own?.remove();
    await host?.close();
  });

  const at = (name: string): string => join(own.path, name);
  return {
    own: {
      get path() {
        return own.path;
      },
      giveAway: () => own.giveAway(),
    },
    host: { context: (over) => host.context(over) },
    at,
    lay(tree) {
      for (const [name, content] of Object.entries(tree)) {
        mkdirSync(content === null ? at(name) : dirname(at(name)), { recursive: true });
        if (content !== null) writeFileSync(at(name), content);
      }
      own.giveAway();
    },
    link(target, name) {
      symlinkSync(target, at(name));
      own.giveAway();
    },
    mode: (name) => lstatSync(at(name)).mode & 0o7777,
  };
}

/** Registers the test that no shell took a name for a command; comes last in a file. */
export function itLeftNoCanary(): void {
  it('nothing was done by a shell that took a name for a command', () => {
    const { home } = userNamed(inject('lab').users, 'alice');
    const found = execFileSync('find', [home, '/tmp', '-maxdepth', '2', '-ignore_readdir_race', '-name', canary], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(found).toBe('');
    expect(existsSync(canary)).toBe(false);
  });
}

/** Command lines of the machine that hold a text. */
export function processesNaming(text: string): string[] {
  const listed = execFileSync('ps', ['-eo', 'args', '-ww'], { encoding: 'utf8' });
  return listed.split('\n').filter((line) => line.includes(text));
}
