/** mkdir, symlink and rm by their handlers, over a real sshd: what they do on the host, and what they say when they cannot. */
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { handleMkdir } from '../../workers/operations/filesystem/mkdir.ts';
import { handleRm } from '../../workers/operations/filesystem/rm.ts';
import { handleSymlink } from '../../workers/operations/filesystem/symlink.ts';
import { itLeftNoCanary, names, useOwnTree } from './own-tree-fixture.ts';

const alice = userNamed(inject('lab').users, 'alice');
const bob = userNamed(inject('lab').users, 'bob');
const { own, host, at, lay, link } = useOwnTree();

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

itLeftNoCanary();
