/** chmod and chown by their handlers, over a real sshd: what they do on the host, and what they say when they cannot. */
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { handleChmod } from '../../workers/operations/filesystem/chmod.ts';
import { handleChown } from '../../workers/operations/filesystem/chown.ts';
import { itLeftNoCanary, names, useOwnTree } from './own-tree-fixture.ts';

const bob = userNamed(inject('lab').users, 'bob');
const { host, at, lay, link, mode } = useOwnTree();

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

itLeftNoCanary();
