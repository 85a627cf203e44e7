/** File operations by their handlers, over a real sshd: what they do on the host, and what they say when they cannot. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import type { ChecksumAlgorithm } from '../../shared/operations/filesystem/checksum.ts';
import type { Compression } from '../../shared/operations/filesystem/compression.ts';
import { handleChecksum } from '../../workers/operations/filesystem/checksum.ts';
import { handleChmod } from '../../workers/operations/filesystem/chmod.ts';
import { handleChown } from '../../workers/operations/filesystem/chown.ts';
import { handleCompress } from '../../workers/operations/filesystem/compress.ts';
import { handleExtract } from '../../workers/operations/filesystem/extract.ts';
import { handleFile } from '../../workers/operations/filesystem/file.ts';
import { handleMkdir } from '../../workers/operations/filesystem/mkdir.ts';
import { partialPath } from '../../workers/operations/filesystem/partial-path.ts';
import { handleRm } from '../../workers/operations/filesystem/rm.ts';
import { handleSymlink } from '../../workers/operations/filesystem/symlink.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { hostileNames } from '../system/hostile-names.ts';
import { type FileHost, openFileHost } from './filesystem-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const bob = userNamed(lab.users, 'bob');
const roots = [alice.home, bob.home, '/tmp', '/srv/deep/root'];
const names = Object.entries(hostileNames('touch gc-canary-ops'));

let host: FileHost;
let own: OwnDirectory;
let at: (name: string) => string;

beforeAll(() => {
  host = openFileHost(lab, roots);
});

beforeEach(() => {
  own?.remove();
  own = homeDirectory(alice);
  at = (name) => join(own.path, name);
});

afterAll(async () => {
  own?.remove();
  await host?.close();
});

/** Files (with their content) and directories (null), given to alice. */
function lay(tree: Record<string, string | null>): void {
  for (const [name, content] of Object.entries(tree)) {
    mkdirSync(content === null ? at(name) : dirname(at(name)), { recursive: true });
    if (content !== null) writeFileSync(at(name), content);
  }
  own.giveAway();
}

function link(target: string, name: string): void {
  symlinkSync(target, at(name));
  own.giveAway();
}

function mode(name: string): number {
  return lstatSync(at(name)).mode & 0o7777;
}

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

describe('chmod', () => {
  it.each(['640', '0', '4755', 'u+x', 'go-r', '=600', 'a=rX,u+w', '+x', '-w'])(
    '%s does what chmod(1) does',
    async (wanted) => {
      for (const before of [0o644, 0o751]) {
        lay({ ours: 'x', theirs: 'x' });
        for (const name of ['ours', 'theirs']) chmodSync(at(name), before);
        execFileSync('sh', ['-c', 'umask 022; exec chmod -- "$@"', 'sh', wanted, at('theirs')]);
        const { entry } = await handleChmod({ path: at('ours'), mode: wanted }, host.context());
        expect(mode('ours').toString(8)).toBe(mode('theirs').toString(8));
        expect(entry).toMatchObject({ name: at('ours'), type: '-', user: 'gcalice', group: 'gcalice', size: '1' });
      }
    },
  );

  it.each(['755', '0755', '00755', '2755', 'g-s', 'u=rwx'])(
    '%s leaves the special bits of a directory as chmod(1) does',
    async (wanted) => {
      lay({ ours: null, theirs: null });
      for (const name of ['ours', 'theirs']) chmodSync(at(name), 0o3770);
      execFileSync('chmod', [wanted, at('theirs')]);
      await handleChmod({ path: at('ours'), mode: wanted }, host.context());
      expect(mode('ours').toString(8)).toBe(mode('theirs').toString(8));
    },
  );

  it('follows a link and shows the link', async () => {
    lay({ data: 'x' });
    link('data', 'link');
    const { entry } = await handleChmod({ path: at('link'), mode: '600' }, host.context());
    expect(mode('data')).toBe(0o600);
    expect(entry).toMatchObject({ name: at('link'), type: 'l', linkTarget: 'data' });
  });

  it.each(['600', 'u+x'])('%s says what is missing and what is another’s', async (wanted) => {
    await expect(handleChmod({ path: at('none'), mode: wanted }, host.context())).rejects.toMatchObject({
      code: 'FileNotFound',
      message: expect.stringMatching(/No such file or directory$/),
    });
    await expect(handleChmod({ path: '/tmp', mode: wanted }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
    await expect(handleChmod({ path: `${bob.home}/x`, mode: wanted }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it.each(names)('takes a name with %s as it is', async (_title, name) => {
    lay({ [name]: 'x' });
    expect((await handleChmod({ path: at(name), mode: '600' }, host.context())).entry.name).toBe(at(name));
    await handleChmod({ path: at(name), mode: 'u+x' }, host.context());
    expect(mode(name)).toBe(0o700);
  });
});

describe('chown', () => {
  it.each([
    ['gcalice', ''],
    ['', 'gcalice'],
    ['gcalice', 'gcalice'],
    ['', ''],
  ])('to %j:%j, which is so already, answers the file', async (owner, group) => {
    lay({ "it's": 'x' });
    const { entry } = await handleChown({ path: at("it's"), owner, group }, host.context());
    expect(entry).toMatchObject({ name: at("it's"), user: 'gcalice', group: 'gcalice', permissions: 'rw-r--r--' });
  });

  it('of the owner alone leaves the group alone', async () => {
    lay({ data: 'x' });
    execFileSync('chgrp', ['gcbob', at('data')]);
    const { entry } = await handleChown({ path: at('data'), owner: 'gcalice', group: '' }, host.context());
    expect(entry.group).toBe('gcbob');
  });

  it.each([
    ['nosuch', '', 'InvalidUser', /invalid user: 'nosuch'/],
    ['nosuch', 'gcalice', 'InvalidUser', /invalid user/],
    ['', 'nosuch', 'InvalidUser', /invalid group: ':nosuch'/],
    ['-R', '', 'InvalidUser', /invalid user: '-R'/],
    ['root', '', 'PermissionDenied', /Operation not permitted/],
    ['', 'root', 'PermissionDenied', /Operation not permitted/],
  ])('to %j:%j is refused by what is wrong', async (owner, group, code, message) => {
    lay({ data: 'x' });
    await expect(handleChown({ path: at('data'), owner, group }, host.context())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it.each(['gcalice', ''])('of a missing file to %j is FileNotFound', async (owner) => {
    await expect(handleChown({ path: at('none'), owner, group: '' }, host.context())).rejects.toMatchObject({
      code: 'FileNotFound',
      message: expect.stringMatching(/No such file or directory$/),
    });
  });
});

describe('mkdir', () => {
  it('answers the new directory under the path given', async () => {
    const { entry } = await handleMkdir({ path: at('new'), parent: false }, host.context());
    expect(entry).toMatchObject({
      name: at('new'),
      type: 'd',
      linkTarget: null,
      user: 'gcalice',
      permissions: 'rwxr-xr-x',
    });
    expect(entry.lastModified).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  });

  it('of one that exists is FileExists without parent, and no error with it', async () => {
    lay({ dir: null, file: 'x' });
    link('dir', 'link');
    for (const name of ['dir', 'file', 'link']) {
      await expect(handleMkdir({ path: at(name), parent: false }, host.context())).rejects.toMatchObject({
        code: 'FileExists',
        message: expect.stringMatching(/^mkdir: cannot create directory .*File exists$/),
      });
    }
    for (const name of ['dir', 'link', 'dir/']) await handleMkdir({ path: at(name), parent: true }, host.context());
    await handleMkdir({ path: alice.home, parent: true }, host.context());
    await expect(handleMkdir({ path: at('file'), parent: true }, host.context())).rejects.toMatchObject({
      code: 'FileExists',
    });
  });

  it('with parent makes all that is missing, without parent nothing', async () => {
    await expect(handleMkdir({ path: at('a/b/c'), parent: false }, host.context())).rejects.toMatchObject({
      code: 'FileNotFound',
      message: expect.stringMatching(/No such file or directory$/),
    });
    expect(existsSync(at('a'))).toBe(false);
    await handleMkdir({ path: at('a/b/c/'), parent: true }, host.context());
    expect(lstatSync(at('a/b/c')).isDirectory()).toBe(true);
    expect(lstatSync(at('a/b')).uid).toBe(alice.uid);
  });

  it('with parent may run many times at once', async () => {
    const paths = Array.from({ length: 40 }, (_, index) => at(`p/q/r/${index % 4}`));
    await Promise.all(paths.map((path) => handleMkdir({ path, parent: true }, host.context())));
    expect(readdirSync(at('p/q/r')).sort()).toEqual(['0', '1', '2', '3']);
  });

  it('with parent names what is in the way', async () => {
    lay({ file: 'x' });
    link('nowhere', 'dangling');
    await expect(handleMkdir({ path: at('file/b/c'), parent: true }, host.context())).rejects.toMatchObject({
      code: 'InvalidRequest',
      message: `mkdir: cannot create directory '${at('file')}': Not a directory`,
    });
    await expect(handleMkdir({ path: at('dangling/b'), parent: true }, host.context())).rejects.toMatchObject({
      code: 'FileExists',
    });
    await expect(handleMkdir({ path: `${bob.home}/a/b`, parent: true }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it('finds on a later attempt what an earlier one made, even when it is not wanted any more', async () => {
    lay({ made: null });
    const later = { attempt: 2, isCancelRequested: true };
    expect((await handleMkdir({ path: at('made'), parent: false }, host.context(later))).entry.type).toBe('d');
    await expect(handleMkdir({ path: at('unmade'), parent: false }, host.context(later))).rejects.toMatchObject({
      code: 'TaskCanceled',
    });
    expect(existsSync(at('unmade'))).toBe(false);
    await handleMkdir({ path: at('unmade'), parent: false }, host.context({ attempt: 2 }));
  });

  it.each(names)('takes a name with %s as it is', async (_title, name) => {
    expect((await handleMkdir({ path: at(name), parent: false }, host.context())).entry.name).toBe(at(name));
    await handleMkdir({ path: at(`${name}/${name}/x`), parent: true }, host.context());
    expect(readdirSync(at(name))).toEqual([name]);
  });
});

describe('symlink', () => {
  it('answers the link, whether or not its target is there', async () => {
    for (const name of ['there', 'missing']) {
      lay({ there: 'x' });
      const { entry } = await handleSymlink({ path: at(name), linkPath: at(`to-${name}/`) }, host.context());
      expect(entry).toMatchObject({
        name: at(`to-${name}`),
        type: 'l',
        linkTarget: at(name),
        permissions: 'rwxrwxrwx',
      });
      expect(readlinkSync(at(`to-${name}`))).toBe(at(name));
    }
  });

  it('never replaces anything, and never goes into a directory of its name', async () => {
    lay({ file: 'x', dir: null });
    link('nowhere', 'link');
    for (const name of ['file', 'dir', 'dir/', 'link']) {
      await expect(handleSymlink({ path: at('x'), linkPath: at(name) }, host.context())).rejects.toMatchObject({
        code: 'FileExists',
        message: expect.stringMatching(/^ln: failed to create symbolic link .*File exists$/),
      });
    }
    expect(readdirSync(at('dir'))).toEqual([]);
    await expect(handleSymlink({ path: at('x'), linkPath: at('none/l') }, host.context())).rejects.toMatchObject({
      code: 'FileNotFound',
    });
    await expect(handleSymlink({ path: at('x'), linkPath: `${bob.home}/l` }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it('finds on a later attempt the right link, and no other', async () => {
    link(at('right'), 'made');
    const later = host.context({ attempt: 2 });
    expect((await handleSymlink({ path: at('right'), linkPath: at('made') }, later)).entry.type).toBe('l');
    await expect(handleSymlink({ path: at('wrong'), linkPath: at('made') }, later)).rejects.toMatchObject({
      code: 'FileExists',
    });
  });

  it.each(names)('takes a name with %s as it is, for the link and for its target', async (_title, name) => {
    mkdirSync(at('links'));
    own.giveAway();
    await handleSymlink({ path: at(name), linkPath: at(`links/${name}`) }, host.context());
    expect(readlinkSync(at(`links/${name}`))).toBe(at(name));
  });
});

describe('rm', () => {
  it('removes a file, a link but not its target, an empty directory and a tree', async () => {
    lay({ file: 'x', empty: null, 'tree/a/b/c': 'x', 'tree/d': 'x', kept: 'x', 'keptTree/x': 'x' });
    for (const [target, name] of [
      ['kept', 'link'],
      ['keptTree', 'dirlink'],
      ['nowhere', 'dangling'],
      ['../kept', 'tree/l'],
    ] as const) {
      link(target, name);
    }
    chmodSync(at('tree/d'), 0o400); // rm(1) would ask
    for (const name of ['file', 'link', 'dirlink', 'dangling', 'empty', 'tree/']) {
      await expect(handleRm({ path: at(name) }, host.context())).resolves.toEqual({ path: at(name) });
    }
    expect(readdirSync(own.path).sort()).toEqual(['kept', 'keptTree']);
    expect(readdirSync(at('keptTree'))).toEqual(['x']);
  });

  it('of what is missing is FileNotFound at first, and done on a later attempt', async () => {
    const missing = { code: 'FileNotFound', message: `rm: cannot remove '${at('none')}': No such file or directory` };
    await expect(handleRm({ path: at('none') }, host.context())).rejects.toMatchObject(missing);
    await expect(handleRm({ path: at('none') }, host.context({ attempt: 2 }))).resolves.toBeDefined();
  });

  it('of a link to a directory with a slash behind it removes nothing', async () => {
    lay({ 'dir/x': 'x' });
    link('dir', 'link');
    await expect(handleRm({ path: at('link/') }, host.context())).rejects.toMatchObject({ code: 'FileNotFound' });
    expect(readdirSync(at('dir'))).toEqual(['x']);
  });

  it('says what is not allowed, for a file and within a tree', async () => {
    lay({ 'tree/locked/x': 'x', 'tree/free': 'x' });
    chmodSync(at('tree/locked'), 0o500);
    await expect(handleRm({ path: at('tree/locked/x') }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
      message: expect.stringMatching(/Permission denied/),
    });
    await expect(handleRm({ path: at('tree') }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
      message: expect.stringMatching(
        /^Remote process failed with exit status:1 and error message:rm: .*Permission denied/,
      ),
    });
    await expect(handleRm({ path: `${bob.home}/x` }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it.each(['/', '/tmp', '/tmp/', '/srv', '/srv/deep', '/srv/deep/root/', '/home'])('refuses %s', async (path) => {
    await expect(handleRm({ path }, host.context())).rejects.toMatchObject({
      code: 'InvalidRequest',
      message: expect.stringMatching(
        /^rm: refusing to remove '.*': the (root of the host|file system \/.*) is not removed/,
      ),
    });
  });

  it.each(names)('removes a file and a directory with %s in the name, and nothing else', async (_title, name) => {
    lay({ [name]: 'x', [`dir/${name}/x`]: 'x', rf: 'x', file: 'x' });
    await handleRm({ path: at(name) }, host.context());
    await handleRm({ path: at(`dir/${name}`) }, host.context());
    expect(readdirSync(own.path).sort()).toEqual(['dir', 'file', 'rf']);
    expect(readdirSync(at('dir'))).toEqual([]);
  });
});

describe('checksum', () => {
  it.each<[ChecksumAlgorithm, string]>([
    ['MD5', 'md5'],
    ['SHA1', 'sha1'],
    ['SHA224', 'sha224'],
    ['SHA256', 'sha256'],
    ['SHA384', 'sha384'],
    ['SHA512', 'sha512'],
    ['BLAKE2B', 'blake2b512'],
  ])('%s is that of the content', async (algorithm, hash) => {
    for (const content of ['', 'hello\0\u00e9'.repeat(100_000)]) {
      lay({ data: content });
      const checksum = createHash(hash).update(content).digest('hex');
      expect(await handleChecksum({ path: at('data'), algorithm }, host.context())).toEqual({ algorithm, checksum });
    }
  });

  it.each(names)('is read with %s in the name', async (_title, name) => {
    lay({ [name]: name });
    const checksum = createHash('sha256').update(name).digest('hex');
    const answer = await handleChecksum({ path: at(name), algorithm: 'SHA256' }, host.context());
    expect(answer.checksum).toBe(checksum);
  });

  it('of what has none is an error that says so, at once', async () => {
    lay({ dir: null, locked: 'x' });
    execFileSync('mkfifo', [at('fifo')]);
    chmodSync(at('locked'), 0);
    const cases = [
      ['none', 'FileNotFound', /No such file or directory$/],
      ['dir', 'InvalidRequest', /not a regular file$/],
      ['fifo', 'InvalidRequest', /not a regular file$/],
      ['locked', 'PermissionDenied', /Permission denied$/],
    ] as const;
    for (const [name, code, message] of cases) {
      await expect(handleChecksum({ path: at(name), algorithm: 'SHA256' }, host.context())).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
  });
});

describe('file', () => {
  it.each([
    ['text', 'hello\n', 'ASCII text'],
    ['unicode', 'h\u00e9llo\n', /^(Unicode text, UTF-8|UTF-8 Unicode) text$/],
    ['script', '#!/bin/sh\n', /^POSIX shell script/],
    ['empty', '', 'empty'],
    ['dir', null, 'directory'],
  ])('of %s says what file(1) says', async (name, content, wanted) => {
    lay({ [name]: content });
    const { description } = await handleFile({ path: at(name) }, host.context());
    expect(description).toEqual(typeof wanted === 'string' ? wanted : expect.stringMatching(wanted));
  });

  it('names the target of a link as it is, and does not wait for a FIFO', async () => {
    lay({ 'zi\u00e9l': 'x' });
    link('zi\u00e9l', 'link');
    link('nowhere', 'broken');
    execFileSync('mkfifo', [at('fifo')]);
    const describe = async (name: string) => (await handleFile({ path: at(name) }, host.context())).description;
    expect(await describe('link')).toBe('symbolic link to zi\u00e9l');
    expect(await describe('broken')).toBe('broken symbolic link to nowhere');
    expect(await describe('fifo')).toBe('fifo (named pipe)');
  });

  it('of what is missing or hidden is an error, not an answer', async () => {
    await expect(handleFile({ path: at('none') }, host.context())).rejects.toMatchObject({
      code: 'FileNotFound',
      message: expect.stringMatching(/No such file or directory$/),
    });
    await expect(handleFile({ path: `${bob.home}/x` }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it.each(names)('takes a name with %s as it is', async (_title, name) => {
    lay({ [name]: 'hello\n' });
    expect(await handleFile({ path: at(name) }, host.context())).toEqual({ description: 'ASCII text' });
  });
});

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
    await expect.poll(() => existsSync(part), { timeout: 10_000, interval: 20 }).toBe(true);
    controller.abort();
    expect(await outcome).toMatchObject({ code: 'TaskCanceled' });
    expect(readdirSync(own.path)).toEqual(['dir']);
    expect(processesNaming(part)).toEqual([]);
  });

  it('that takes longer than the system lets a command run is CommandTimeout and leaves no part', async () => {
    const hasty = openFileHost(lab, roots, { commandTimeoutMs: 700, fileTimeoutMs: 5_000 });
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

describe('extract', () => {
  it('replaces what is there, read-only files too, and keeps times; a repeat ends the same', async () => {
    lay({ 'dir/x': 'new', 'out/dir/x': 'old', 'out/dir/kept': 'kept' });
    chmodSync(at('out/dir/x'), 0o400);
    utimesSync(at('dir/x'), 1_000_000_000, 1_000_000_000);
    await handleCompress({ ...defaults, path: at('dir'), targetPath: at('t.tgz') }, host.context());
    for (const attempt of [1, 2]) {
      const input = { path: at('t.tgz'), targetPath: at('out/'), compression: 'gzip' as const };
      await handleExtract(input, host.context({ attempt }));
      expect(readFileSync(at('out/dir/x'), 'utf8')).toBe('new');
      expect(lstatSync(at('out/dir/x')).mtimeMs).toBe(1_000_000_000_000);
      expect(readdirSync(at('out/dir')).sort()).toEqual(['kept', 'x']);
    }
  });

  it('never lets an archive out of the target directory', async () => {
    lay({ out: null, victim: 'safe' });
    execFileSync('tar', ['-P', '-czf', at('evil.tgz'), '--transform', 's,.*,../victim,', at('victim')]);
    own.giveAway();
    const input = { path: at('evil.tgz'), targetPath: at('out'), compression: 'gzip' as const };
    writeFileSync(at('victim'), 'still safe');
    await handleExtract(input, host.context()).catch(() => undefined);
    expect(readFileSync(at('victim'), 'utf8')).toBe('still safe');
  });

  it('says what is wrong with the archive or the target', async () => {
    lay({ out: null, file: 'no archive', 'dir/x': 'x', locked: null, secret: 'x', cut: '' });
    await handleCompress({ ...defaults, path: at('dir'), targetPath: at('t.tgz') }, host.context());
    writeFileSync(at('cut'), readFileSync(at('t.tgz')).subarray(0, 60));
    chmodSync(at('locked'), 0o500);
    chmodSync(at('secret'), 0);
    const attempts: [string, string, Compression, string, RegExp][] = [
      ['none', 'out', 'gzip', 'FileNotFound', /No such file or directory$/],
      ['t.tgz', 'none', 'gzip', 'FileNotFound', /No such file or directory$/],
      ['t.tgz', 'file', 'gzip', 'InvalidRequest', /not a directory$/],
      ['dir', 'out', 'gzip', 'InvalidRequest', /not a regular file$/],
      ['file', 'out', 'gzip', 'InvalidRequest', /not in gzip format/],
      ['t.tgz', 'out', 'xz', 'InvalidRequest', /File format not recognized/],
      ['t.tgz', 'out', 'bzip2', 'InvalidRequest', /not a bzip2 file/],
      ['file', 'out', 'none', 'InvalidRequest', /does not look like a tar archive/],
      ['cut', 'out', 'gzip', 'InvalidRequest', /unexpected end of file/],
      ['t.tgz', 'locked', 'gzip', 'PermissionDenied', /Permission denied/],
      ['secret', 'out', 'gzip', 'PermissionDenied', /Permission denied/],
    ];
    for (const [path, targetPath, compression, code, message] of attempts) {
      const input = { path: at(path), targetPath: at(targetPath), compression };
      await expect(handleExtract(input, host.context()), `${path} ${targetPath}`).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
  });
});

it('nothing was done by a shell that took a name for a command', () => {
  const found = execFileSync('find', [alice.home, '/tmp', '-maxdepth', '2', '-name', 'gc-canary-ops'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(found).toBe('');
  expect(existsSync('gc-canary-ops')).toBe(false);
});

/** Command lines of the machine that hold a text. */
function processesNaming(text: string): string[] {
  const listed = execFileSync('ps', ['-eo', 'args', '-ww'], { encoding: 'utf8' });
  return listed.split('\n').filter((line) => line.includes(text));
}
