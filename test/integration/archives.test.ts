/** compress and its way back by their handlers, over a real sshd: what they do on the host, and what they say when they cannot. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, linkSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import type { Compression } from '../../shared/operations/filesystem/compression.ts';
import { handleCompress } from '../../workers/operations/filesystem/compress.ts';
import { handleExtract } from '../../workers/operations/filesystem/extract.ts';
import { partialPath } from '../../workers/operations/filesystem/partial-path.ts';
import { openFileHost } from './filesystem-fixture.ts';
import { itLeftNoCanary, names, processesNaming, useOwnTree } from './own-tree-fixture.ts';

const alice = userNamed(inject('lab').users, 'alice');
const { own, host, at, lay, link } = useOwnTree();

const defaults = { matchPattern: null, dereference: false, compression: 'gzip' as const };

/** What GNU tar finds in an archive, names as they are. */
function members(name: string): string[] {
  const listed = execFileSync('tar', ['--force-local', '--quoting-style=literal', '-tf', at(name)], {
    encoding: 'utf8',
  });
  return listed
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

describe('compress', () => {
  const magic: Record<Compression, string> = { none: '', gzip: '1f8b', bzip2: '425a68', xz: 'fd377a58' };
  const compressions = Object.keys(magic) as Compression[];

  it.each(compressions)('with %s and back gives the same tree, packed under its base name', async (compression) => {
    lay({ 'tree/a': 'A', 'tree/b/c': 'C', 'tree/empty': null, out: null });
    link('a', 'tree/link');
    await handleCompress({ ...defaults, path: at('tree'), targetPath: at('t.tar'), compression }, host.context());
    expect(readFileSync(at('t.tar')).toString('hex')).toMatch(new RegExp(`^${magic[compression]}`));
    expect(members('t.tar')).toEqual(['tree/', 'tree/a', 'tree/b/', 'tree/b/c', 'tree/empty/', 'tree/link']);
    expect(lstatSync(at('t.tar')).uid).toBe(alice.uid);
    await handleExtract({ path: at('t.tar'), targetPath: at('out'), compression }, host.context());
    execFileSync('diff', ['-r', '--no-dereference', at('tree'), at('out/tree')]);
    expect(readdirSync(own.path).sort()).toEqual(['out', 't.tar', 'tree']);
  });

  it.each(compressions)(
    'with a pattern and %s packs what matches below the named directory, and nothing beside it',
    async (compression) => {
      lay({
        'dir/a.txt': '1',
        'dir/b.txt': '2',
        'dir/c.log': '3',
        'dir/sub/a.txt': '4',
        'a.txt': 'no',
        'dir2/a.txt': 'no',
      });
      for (const [matchPattern, wanted] of [
        ['./[ab].*\\.txt', ['./a.txt', './b.txt']],
        ['.*\\.txt', ['./a.txt', './b.txt', './sub/a.txt']],
        ['.*/sub/.*', ['./sub/a.txt']],
        ['nothing', []],
      ] as const) {
        for (const path of [at('dir'), at('dir/')]) {
          await handleCompress(
            { ...defaults, path, targetPath: at('t.tar'), matchPattern, compression },
            host.context(),
          );
          expect(members('t.tar')).toEqual(wanted);
          expect(readFileSync(at('t.tar')).toString('hex')).toMatch(new RegExp(`^${magic[compression]}`));
        }
      }
    },
  );

  it('means the same with a slash behind the source; behind a link it means what the link points to', async () => {
    lay({ 'dir/x': 'x', 'real/y': 'y' });
    link('real', 'link');
    link('no/where', 'broken');
    const packed = async (name: string) => {
      await handleCompress({ ...defaults, path: at(name), targetPath: at('t.tgz') }, host.context());
      return members('t.tgz');
    };
    expect(await packed('dir')).toEqual(['dir/', 'dir/x']);
    expect(await packed('dir/')).toEqual(['dir/', 'dir/x']);
    expect(await packed('link')).toEqual(['link']);
    expect(await packed('broken')).toEqual(['broken']);
    expect(await packed('link/')).toEqual(['real/', 'real/y']);
    expect(await packed('dir/x')).toEqual(['x']);
  });

  it('packs an empty directory, and with dereference what links point to', async () => {
    lay({ empty: null, data: 'data', 'dir/x': 'x', other: null });
    link('../data', 'dir/file');
    link('../other', 'dir/directory');
    await handleCompress({ ...defaults, path: at('empty'), targetPath: at('e.tgz') }, host.context());
    expect(members('e.tgz')).toEqual(['empty/']);
    const dereferenced = { ...defaults, path: at('dir'), targetPath: at('d.tgz'), dereference: true };
    await handleCompress(dereferenced, host.context());
    expect(members('d.tgz')).toEqual(['dir/', 'dir/directory/', 'dir/file', 'dir/x']);
    expect(execFileSync('tar', ['-xOf', at('d.tgz'), 'dir/file']).toString()).toBe('data');
    await handleCompress({ ...dereferenced, matchPattern: '.*' }, host.context());
    expect(members('d.tgz')).toEqual(['./file', './x']);
    await handleCompress({ ...dereferenced, dereference: false, matchPattern: '.*' }, host.context());
    expect(members('d.tgz')).toEqual(['./x']);
  });

  it('replaces an old archive, also one within the source, which is not packed into the new one', async () => {
    lay({ 'dir/x': 'x', 'dir/t.tgz': 'old', 'dir/sub/t.tgz': 'other', 't.tgz': 'old' });
    link('t.tgz', 'link.tgz');
    await handleCompress({ ...defaults, path: at('dir'), targetPath: at('dir/t.tgz') }, host.context());
    expect(members('dir/t.tgz')).toEqual(['dir/', 'dir/sub/', 'dir/sub/t.tgz', 'dir/x']);
    await handleCompress(
      { ...defaults, path: at('dir/'), targetPath: at('dir/t.tgz'), matchPattern: '.*' },
      host.context(),
    );
    expect(members('dir/t.tgz')).toEqual(['./sub/t.tgz', './x']);
    await handleCompress({ ...defaults, path: at('dir/x'), targetPath: at('link.tgz') }, host.context());
    expect(members('link.tgz')).toEqual(['x']);
    expect(readFileSync(at('t.tgz'), 'utf8')).toBe('old');
  });

  it('into the source itself is not disturbed by its own archive, however often it runs', async () => {
    lay({ dir: null });
    for (let index = 0; index < 25; index += 1) {
      const targetPath = at(`dir/${index % 2}.tgz`);
      await handleCompress({ ...defaults, path: at('dir'), targetPath }, host.context());
    }
    expect(members('dir/1.tgz')).toEqual(['dir/', 'dir/0.tgz']);
    link('dir', 'through');
    for (const path of [at('through/'), at('dir')]) {
      await handleCompress({ ...defaults, path, targetPath: at('through/1.tgz') }, host.context());
      expect(members('dir/1.tgz')).toEqual(['dir/', 'dir/0.tgz']);
    }
    await handleCompress(
      { ...defaults, dereference: true, path: at('through'), targetPath: at('dir/1.tgz') },
      host.context(),
    );
    expect(members('dir/1.tgz')).toEqual(['through/', 'through/0.tgz']);
  });

  it('refuses targets that cannot be a file, and a file as its own archive', async () => {
    lay({ dir: null, 'src/x': 'x', 'src/t.tgz': 'archive', locked: null });
    link('src', 'through');
    execFileSync('mkfifo', [at('fifo')]);
    chmodSync(at('locked'), 0o500);
    const attempts = [
      ['src', 'dir', 'InvalidRequest', /Is a directory$/],
      ['src', 'new/', 'InvalidRequest', /Is a directory$/],
      ['src', 'fifo', 'InvalidRequest', /not a regular file$/],
      ['src/t.tgz', 'src/t.tgz', 'InvalidRequest', /into itself$/],
      ['src/t.tgz', 'through/t.tgz', 'InvalidRequest', /into itself$/],
      ['src', 'none/t.tgz', 'FileNotFound', /No such file or directory$/],
      ['src', 'locked/t.tgz', 'PermissionDenied', /Permission denied/],
      ['none', 't.tgz', 'FileNotFound', /No such file or directory$/],
    ] as const;
    for (const [path, targetPath, code, message] of attempts) {
      const input = { ...defaults, path: at(path), targetPath: at(targetPath) };
      await expect(handleCompress(input, host.context()), targetPath).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
    expect(readFileSync(at('src/t.tgz'), 'utf8')).toBe('archive');
  });

  it.each(['\\(', '[', '*\\{'])(
    'the pattern %s, which is none, is the caller’s error and leaves no part',
    async (matchPattern) => {
      lay({ 'dir/x': 'x' });
      const input = { ...defaults, path: at('dir'), targetPath: at('t.tgz'), matchPattern };
      const outcome = await handleCompress(input, host.context()).catch((error: unknown) => error);
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ code: 'InvalidRequest', message: expect.stringMatching(/find: /) });
        expect(readdirSync(own.path)).toEqual(['dir']);
      } else expect(matchPattern).toBe('*\\{'); // find(1) reads it as plain characters
    },
  );

  it('with a pattern over what is no directory is the caller’s error', async () => {
    lay({ file: 'x' });
    const input = { ...defaults, path: at('file'), targetPath: at('t.tgz'), matchPattern: '.*' };
    await expect(handleCompress(input, host.context())).rejects.toMatchObject({
      code: 'InvalidRequest',
      message: expect.stringMatching(/not a directory$/),
    });
  });

  it.each([null, '.*'])(
    'that cannot read a part of the source (pattern %j) fails, and the old archive stays',
    async (matchPattern) => {
      lay({ 'dir/locked/x': 'x', 'dir/y': 'y', 't.tgz': 'old' });
      chmodSync(at('dir/locked'), 0);
      const input = { ...defaults, path: at('dir'), targetPath: at('t.tgz'), matchPattern };
      await expect(handleCompress(input, host.context())).rejects.toMatchObject({
        code: 'PermissionDenied',
        message: expect.stringMatching(
          /^Remote process failed with exit status:\d and error message:(tar|find): .*Permission denied/s,
        ),
      });
      expect(readdirSync(own.path).sort()).toEqual(['dir', 't.tgz']);
      expect(readFileSync(at('t.tgz'), 'utf8')).toBe('old');
    },
  );

  it('that is canceled while it runs ends its processes and leaves no part', async () => {
    lay({ dir: null });
    execFileSync('truncate', ['-s', '20G', at('dir/big')]); // sparse: long to read, and no room taken
    const controller = new AbortController();
    const context = host.context({ signal: controller.signal });
    const part = partialPath(at('t.tgz'), context.task.id);
    const running = handleCompress({ ...defaults, path: at('dir'), targetPath: at('t.tgz') }, context);
    const outcome = running.catch((error: unknown) => error);
    await expect.poll(() => existsSync(part), { timeout: 30_000, interval: 20 }).toBe(true);
    controller.abort();
    expect(await outcome).toMatchObject({ code: 'TaskCanceled' });
    expect(readdirSync(own.path)).toEqual(['dir']);
    expect(processesNaming(part)).toEqual([]);
  });

  it('that takes longer than the system lets a command run is CommandTimeout and leaves no part', async () => {
    const hasty = openFileHost(inject('lab'), [own.path], { commandTimeoutMs: 700, fileTimeoutMs: 5_000 });
    try {
      for (const matchPattern of [null, '.*']) {
        lay({ dir: null });
        execFileSync('truncate', ['-s', '20G', at('dir/big')]);
        const context = hasty.context();
        const input = { ...defaults, path: at('dir'), targetPath: at('t.tgz'), matchPattern };
        await expect(handleCompress(input, context)).rejects.toMatchObject({
          code: 'CommandTimeout',
          message: 'Command execution timeout limit exceeded.',
        });
        expect(readdirSync(own.path)).toEqual(['dir']);
        expect(processesNaming(partialPath(at('t.tgz'), context.task.id))).toEqual([]);
      }
    } finally {
      await hasty.close();
    }
  });

  it('a later attempt does not write into what an earlier one still writes to', async () => {
    lay({ 'dir/x': 'x' });
    const context = host.context({ attempt: 2 });
    const part = partialPath(at('t.tgz'), context.task.id);
    writeFileSync(part, 'half of it');
    linkSync(part, at('what the earlier attempt has open'));
    own.giveAway();
    await handleCompress({ ...defaults, path: at('dir'), targetPath: at('t.tgz') }, context);
    expect(members('t.tgz')).toEqual(['dir/', 'dir/x']);
    expect(readFileSync(at('what the earlier attempt has open'), 'utf8')).toBe('half of it');
  });

  it.each(names)(
    'takes a name with %s as it is: of the source, of the archive and of the target directory',
    async (_title, name) => {
      lay({ [`in/${name}/${name}`]: name, [`out/${name}`]: null, archives: null, last: null });
      const archive = at(`archives/${name}`);
      await handleCompress({ ...defaults, path: at(`in/${name}`), targetPath: archive }, host.context());
      await handleExtract({ path: archive, targetPath: at(`out/${name}`), compression: 'gzip' }, host.context());
      expect(readFileSync(at(`out/${name}/${name}/${name}`), 'utf8')).toBe(name);
      await handleCompress(
        { ...defaults, path: at(`in/${name}`), targetPath: archive, matchPattern: '.*' },
        host.context(),
      );
      rmSync(at(`out/${name}`), { recursive: true });
      lay({ [`out/${name}`]: null });
      await handleExtract({ path: archive, targetPath: at(`out/${name}`), compression: 'gzip' }, host.context());
      expect(readFileSync(at(`out/${name}/${name}`), 'utf8')).toBe(name);
      expect(readdirSync(at('archives'))).toEqual([name]);
      // Excluded from its own archive by that very name.
      await handleCompress(
        { ...defaults, path: at(`in/${name}`), targetPath: at(`in/${name}/${name}`), compression: 'none' },
        host.context(),
      );
      await handleExtract(
        { path: at(`in/${name}/${name}`), targetPath: at('last'), compression: 'none' },
        host.context(),
      );
      expect(readdirSync(at('last'))).toEqual([name]);
      expect(readdirSync(at(`last/${name}`))).toEqual([]);
    },
  );
});

itLeftNoCanary();
