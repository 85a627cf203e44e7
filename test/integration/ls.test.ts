import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileEntry } from '../../shared/operations/filesystem/file-entry.ts';
import { handleLs } from '../../workers/operations/filesystem/ls.ts';
import { findLocalTime } from '../../workers/operations/filesystem/system-local-time.ts';
import { gateOf } from './filesystem-fixture.ts';
import { type SchedulerLab, startSchedulerLab } from './scheduler-fixture.ts';

const user = 'gcalice';
const hostile = ["it's", 'a"b', 'new\nline', ' lead', '-rf', '$(id)', '`id`', 'ünï cödé', 'back\\slash', 'a|b', '*'];

describe('filesystem.ls over a real login node', () => {
  let lab: SchedulerLab;
  let directory: string;
  beforeAll(async () => {
    lab = await startSchedulerLab(['sshd']);
    directory = await lab.directory(user);
    const script = [
      'cd "$1" && shift && umask 022',
      'for name do : > "./$name"; done',
      'mkdir sub sub/deep sticky empty "$(printf "odd\\377")" && : > "$(printf "odd\\377/inside")" && : > sub/deep/file && : > .hidden && chmod 1777 sticky',
      'printf 12345 > five && chmod 4751 five && touch -d "2026-07-15T12:00:00Z" five',
      'ln -s five link && ln -s sub dirlink && ln -s nowhere broken && ln -s .. sub/loop && mkfifo pipe',
    ].join('\n');
    const { exitCode, stderr } = await lab.host(user).shell.run(['sh', '-ec', script, 'sh', directory, ...hostile]);
    expect([exitCode, stderr.toString()]).toEqual([0, '']);
  });
  afterAll(() => lab.stop());

  const list = async (path: string, options: Partial<Parameters<typeof handleLs>[0]> = {}): Promise<FileEntry[]> => {
    const host = lab.host(user);
    const id = (ids: readonly number[]) => Promise.resolve(ids.map((each) => `u${each}`));
    const { entries } = await handleLs(
      { path, showHidden: false, numericUid: false, recursive: false, dereference: false, ...options },
      {
        files: host.files,
        signal: new AbortController().signal,
        pathGate: gateOf(lab.ssh, user, [directory]),
        listing: { users: id, groups: id, localTime: () => findLocalTime(host) },
      },
    );
    return entries;
  };
  const names = (entries: FileEntry[]) => entries.map(({ name }) => name);

  it('says of every file what `ls -l` says', async () => {
    const entries = await list(directory, { numericUid: true });
    const format = ['--time-style=+%Y-%m-%dT%H:%M:%S', '--numeric-uid-gid', '--zero'];
    const { stdout } = await lab.host(user).shell.run(['ls', '-l', ...format, '--', directory]);
    const expected = stdout
      .toString()
      .split('\0')
      .map((line) => line.replace(/^total \d+\n?/, ''))
      .filter(Boolean);
    const written = entries.map(
      ({ type, permissions, user: owner, group, size, lastModified, name, linkTarget }) =>
        `${type}${permissions} ${owner} ${group} ${size} ${lastModified} ${name}${linkTarget === null ? '' : ` -> ${linkTarget}`}`,
    );
    const normal = expected.map((line) => line.replace(/^(\S{10}) +\d+ +/, '$1 ').replace(/^(\S+ \d+ \d+) +/, '$1 '));
    expect(new Set(written)).toEqual(new Set(normal));
  });

  it('brings names of any kind through unharmed', async () => {
    expect(names(await list(directory))).toEqual(expect.arrayContaining(hostile));
  });

  it('shows hidden names only when asked, and never . and ..', async () => {
    expect(names(await list(directory))).not.toContain('.hidden');
    const all = names(await list(directory, { showHidden: true }));
    expect(all).toContain('.hidden');
    expect(all).not.toContain('.');
    expect(all).not.toContain('..');
  });

  it('lists a file under its full path, and an empty directory as empty', async () => {
    expect(await list(`${directory}/five`)).toMatchObject([
      { name: `${directory}/five`, type: '-', permissions: 'rwsr-x--x', size: '5', linkTarget: null },
    ]);
    expect(await list(`${directory}/empty`)).toEqual([]);
  });

  it('shows a link itself, its content after a slash, and what it points at on request', async () => {
    expect(await list(`${directory}/dirlink`)).toMatchObject([{ type: 'l', linkTarget: 'sub' }]);
    expect(names(await list(`${directory}/dirlink/`))).toEqual(['deep', 'loop']);
    expect(await list(`${directory}/link`, { dereference: true })).toMatchObject([
      { type: '-', linkTarget: null, size: '5' },
    ]);
    const followed = await list(directory, { dereference: true });
    expect(followed.find(({ name }) => name === 'dirlink')).toMatchObject({ type: 'd', linkTarget: null });
    expect(followed.find(({ name }) => name === 'broken')).toMatchObject({ type: 'l', linkTarget: 'nowhere' });
  });

  it('names what is below relative to the path, and survives a loop of links', async () => {
    const below = names(await list(directory, { recursive: true }));
    expect(below).toEqual(expect.arrayContaining(['sub', 'sub/deep', 'sub/deep/file', 'sub/loop', 'odd\ufffd/inside']));
    const followed = names(await list(directory, { recursive: true, dereference: true }));
    expect(followed).toContain('sub/deep/file');
    expect(followed.length).toBeLessThan(200);
  });

  it('says what is missing, and what may not be read', async () => {
    await expect(list(`${directory}/none`)).rejects.toMatchObject({
      code: 'FileNotFound',
      message: expect.stringContaining('No such file or directory'),
    });
    await expect(list('/root')).rejects.toMatchObject({
      code: 'PermissionDenied',
      message: expect.stringContaining('Permission denied'),
    });
  });
});
