import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { RemoteFiles } from '../../workers/ssh/remote-files.ts';
import type { RemoteShell } from '../../workers/ssh/remote-shell.ts';
import type { RemoteStats } from '../../workers/ssh/remote-stats.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { createStatExec } from '../../workers/ssh/stat-exec.ts';
import { labUserCa, sshTo, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
let ssh: Ssh;
let files: RemoteFiles;
let stats: RemoteStats;
let folder: string;

beforeAll(() => {
  ssh = sshTo(systemOptions(lab.sshd), labUserCa(lab));
  files = ssh.files('lab', 'gcalice');
  stats = ssh.stats('lab', 'gcalice');
  folder = mkdtempSync(join(tmpdir(), 'gc-files-'));
  const alice = lab.users.find(({ username }) => username === 'gcalice');
  chownSync(folder, alice?.uid ?? 0, alice?.gid ?? 0);
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'secret'), { mode: 0o700 });
  writeFileSync(join(folder, 'secret', 'file'), 'root only', { mode: 0o600 });
  execFileSync('mkfifo', ['-m', '666', join(folder, 'fifo')]);
  symlinkSync('fifo', join(folder, 'to-fifo'));
});

afterAll(async () => {
  await ssh?.close();
  if (folder) rmSync(folder, { recursive: true });
});

describe('files', () => {
  it('come back as they were written, whatever their size, and in parts', async () => {
    for (const sizeBytes of [0, 1, 32_768, 32_769, 131_072, 131_073, 5_000_001]) {
      const path = join(folder, `size-${sizeBytes}`);
      const data = Buffer.alloc(sizeBytes, 'abcdefg\xfe\0', 'latin1');
      await files.writeFile(path, data, { mode: 0o640 });
      expect((await files.readFile(path, { bytesMax: 6_000_000 })).equals(data)).toBe(true);
      expect((await files.readRange(path, 30_000, 10_000)).equals(data.subarray(30_000, 40_000))).toBe(true);
      expect(await files.lstat(path)).toMatchObject({ sizeBytes, mode: 0o100640 });
    }
    await expect(files.readFile(join(folder, 'size-32769'), { bytesMax: 32_768 })).rejects.toMatchObject({
      code: 'OutputTooLarge',
    });
    await files.writeRange(join(folder, 'size-1'), 4, Buffer.from('tail'));
    expect(readFileSync(join(folder, 'size-1')).toString('latin1')).toBe('a\0\0\0tail');
  });

  it('of /proc, which say they are empty, are read to their end', async () => {
    expect((await files.readFile('/proc/self/status', { bytesMax: 100_000 })).toString()).toContain('Name:');
    await expect(files.readFile('/proc/self/status', { bytesMax: 10 })).rejects.toMatchObject({
      code: 'OutputTooLarge',
    });
  });

  it('have names that are bytes: one that is not UTF-8 is listed, read, renamed and removed', async () => {
    const name = Buffer.from([0x61, 0xff, 0xfe, 0x0a, 0x27]);
    const path = Buffer.concat([Buffer.from(`${folder}/names/`), name]);
    await files.mkdir(join(folder, 'names'));
    await files.writeFile(path, Buffer.from('x'));
    const [entry] = await files.readdir(join(folder, 'names'));
    expect(entry?.nameBytes).toEqual(name);
    expect(entry?.attributes.sizeBytes).toBe(1);
    expect((await files.readFile(path, { bytesMax: 10 })).toString()).toBe('x');
    expect((await stats.stat(path)).sizeBytes).toBe(1);
    const other = Buffer.concat([path, Buffer.from([0xc3])]);
    await files.rename(path, other);
    await files.unlink(other);
    expect(await files.readdir(join(folder, 'names'))).toEqual([]);
    await files.rmdir(join(folder, 'names'));
  });

  it('are listed whole and once in a large directory', async () => {
    mkdirSync(join(folder, 'many'));
    for (let index = 0; index < 3_000; index += 1) writeFileSync(join(folder, 'many', `f${index}`), '');
    const names = (await files.readdir(join(folder, 'many'))).map(({ name }) => name);
    expect(new Set(names).size).toBe(3_000);
    expect(names.length).toBe(3_000);
    await expect(files.readdir(join(folder, 'many'), { entriesMax: 100 })).rejects.toMatchObject({
      code: 'OutputTooLarge',
    });
  });

  it('can be linked, renamed over, and have their mode changed', async () => {
    const [from, to, link] = ['from', 'to', 'link'].map((name) => join(folder, name)) as [string, string, string];
    await files.writeFile(from, Buffer.from('new'));
    await files.writeFile(to, Buffer.from('old'));
    await files.rename(from, to);
    await files.chmod(to, 0o600);
    await files.symlink('to', link);
    expect((await files.readlink(link)).toString()).toBe('to');
    expect((await files.realpath(link)).toString()).toBe(to);
    expect(await files.stat(link)).toMatchObject({ mode: 0o100600, sizeBytes: 3 });
    expect((await files.lstat(link)).mode & 0o170000).toBe(0o120000);
    await expect(files.symlink('to', link)).rejects.toMatchObject({ code: 'FileExists' });
    await expect(files.writeFile(to, Buffer.from('z'), { exclusive: true })).rejects.toMatchObject({
      code: 'FileExists',
    });
    await expect(files.mkdir(to)).rejects.toMatchObject({ code: 'FileExists' });
  });

  it('fail with the code and words that clients look for', async () => {
    const missing = join(folder, 'missing');
    await expect(files.lstat(missing)).rejects.toMatchObject({
      code: 'FileNotFound',
      message: `stat: cannot statx '${missing}': No such file or directory`,
    });
    await expect(files.readFile(missing, { bytesMax: 1 })).rejects.toMatchObject({
      code: 'FileNotFound',
      message: `cat: ${missing}: No such file or directory`,
    });
    await expect(files.readdir(join(folder, 'secret'))).rejects.toMatchObject({ code: 'PermissionDenied' });
    await expect(files.readFile(join(folder, 'secret', 'file'), { bytesMax: 9 })).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
    await expect(files.lstat('a\0b')).rejects.toMatchObject({ code: 'InvalidRequest' });
    await expect(files.lstat('')).rejects.toMatchObject({ code: 'InvalidRequest' });
  });

  it('that are no regular files are refused before they are opened', async () => {
    for (const name of ['fifo', 'to-fifo', '.', '../../dev/zero']) {
      const path = join(folder, name);
      await expect(files.readFile(path, { bytesMax: 10 })).rejects.toMatchObject({ code: 'InvalidRequest' });
      await expect(files.writeFile(path, Buffer.from('x'))).rejects.toMatchObject({ code: 'InvalidRequest' });
    }
  });

  it('that hang their channel hold up nobody else for long, and the channel is dropped and counted', async () => {
    // A regular file at the moment of the check and a FIFO at that of the open: what only a deadline can catch.
    const hung = ssh.files('lab', 'gcbob');
    const swapped = join(folder, 'swapped');
    const swap = () => {
      rmSync(swapped, { force: true });
      execFileSync('mkfifo', ['-m', '666', swapped]);
    };
    let outcome: unknown;
    for (let attempt = 0; attempt < 50 && (outcome as { code?: string })?.code !== 'CommandTimeout'; attempt += 1) {
      rmSync(swapped, { force: true });
      writeFileSync(swapped, 'x', { mode: 0o666 });
      const read = hung.readFile(swapped, { bytesMax: 10, timeoutMs: 1_500 }).catch((error: unknown) => error);
      await new Promise((resolve) => setImmediate(resolve));
      swap();
      const others = hung.stat('/etc');
      outcome = await read;
      await others;
    }
    expect(outcome).toMatchObject({ code: 'CommandTimeout' });
    expect(ssh.poolStats()[0]?.fileChannelsDropped).toBeGreaterThan(0);
    expect((await hung.stat('/etc')).mode & 0o170000).toBe(0o040000);
    writeFileSync(swapped, ''); // lets the blocked server go
  }, 60_000);
});

describe('the content of a small file, in one message', () => {
  it('is all of it, byte for byte, up to 32 KiB; of anything else, and of what may not be read, there is none', async () => {
    const data = Buffer.from(Array.from({ length: 32 * 1024 }, (_, at) => (at * 7) % 256));
    const write = (name: string | Buffer, sizeBytes: number): void =>
      writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]), data.subarray(0, sizeBytes));
    const odd = Buffer.from([0x63, 0xff, 0x0a, 0x27]);
    write('content-1', 1);
    write('content-full', 32 * 1024);
    write(odd, 300);
    writeFileSync(join(folder, 'content-over'), Buffer.concat([data, Buffer.from('x')]));
    symlinkSync('content-full', join(folder, 'to-content'));
    const content = async (path: string | Buffer) => await stats.content(path);
    expect(await content(join(folder, 'content-1'))).toEqual(data.subarray(0, 1));
    expect((await content(join(folder, 'to-content')))?.equals(data)).toBe(true);
    expect((await content(Buffer.concat([Buffer.from(`${folder}/`), odd])))?.equals(data.subarray(0, 300))).toBe(true);
    const none = ['content-over', 'secret/file', 'fifo', 'to-fifo', 'nothing', ''].map((name) => join(folder, name));
    expect(await Promise.all([...none, '/dev/zero', '/proc/self/status'].map(content))).toEqual(Array(8).fill(null));
    // Many at once, more than goes out in one write.
    const all = await Promise.all(Array.from({ length: 64 }, () => content(join(folder, 'content-full'))));
    expect(all.every((each) => each?.equals(data))).toBe(true);
    expect(await stats.stat(join(folder, 'content-1'))).toMatchObject({ sizeBytes: 1 });
  });
});

describe('stats', () => {
  it('tell all ten fields as lstat(2) and stat(2) do', async () => {
    const link = join(folder, 'to-passwd');
    symlinkSync('/etc/passwd', link);
    const own = lstatSync(link);
    expect(await stats.stat(link)).toEqual({
      ...{ mode: own.mode, ino: own.ino, inoText: String(own.ino), dev: own.dev, nlink: own.nlink },
      ...{ uid: own.uid, gid: own.gid, sizeBytes: own.size, atime: Math.floor(own.atimeMs / 1000) },
      ...{ ctime: Math.floor(own.ctimeMs / 1000), mtime: Math.floor(own.mtimeMs / 1000) },
    });
    expect((await stats.stat(link, { dereference: true })).ino).toBe(lstatSync('/etc/passwd').ino);
  });

  it('answer each of many at once with its own file or its own error', async () => {
    const paths = Array.from({ length: 500 }, (_, index) => join(folder, index % 3 === 0 ? `gone-${index}` : 'fifo'));
    const answers = await Promise.allSettled(paths.map((path) => stats.stat(path)));
    for (const [index, answer] of answers.entries()) {
      if (answer.status === 'fulfilled') expect(answer.value.mode & 0o170000).toBe(0o010000);
      else expect(answer.reason.message).toBe(`stat: cannot statx '${paths[index]}': No such file or directory`);
    }
    expect(answers.filter(({ status }) => status === 'rejected').length).toBe(167);
  });

  it('are the same without perl, from coalesced `stat` commands', async () => {
    const shell = ssh.shell('lab', 'gcalice');
    let runs = 0;
    const counted: RemoteShell = {
      run(...given) {
        runs += 1;
        return shell.run(...given);
      },
    };
    const exec = createStatExec(counted);
    const odd = join(folder, "odd ' \n name");
    writeFileSync(odd, '12345');
    const texts = await Promise.all(
      [...Array(50).fill('/etc/passwd'), odd].map((path) => exec.ask(Buffer.from(path), false)),
    );
    const expected = await stats.stat(odd);
    expect(texts.at(-1)).toBe(
      Object.values(expected)
        .filter((_, index) => index !== 2)
        .join(' '),
    );
    expect(runs).toBe(1);
    expect(await exec.ask(Buffer.from('/missing'), true)).toMatch(
      /^Estat: cannot statx? '\/missing': No such file or directory$/,
    );
  });

  it('come back after their process was killed', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    const carol = ssh.stats('lab', 'gccarol');
    await carol.stat('/');
    const { stdout } = await shell.run([
      'sh',
      '-c',
      'for p in $(pgrep -u gccarol -x perl); do grep -zq "^SSH_CONNECTION=$SSH_CONNECTION" /proc/$p/environ && echo $p; done',
    ]);
    await shell.run(['kill', '-KILL', ...stdout.toString().trim().split('\n')]);
    expect((await carol.stat('/')).ino).toBe(lstatSync('/').ino);
  });
});

describe('names', () => {
  it('are those of the host, asked for once, and a number where there is none', async () => {
    const shell = ssh.shell('lab', 'gcalice');
    const alice = lab.users.find(({ username }) => username === 'gcalice');
    const names = ssh.names('lab');
    expect(await names.users(shell, [0, alice?.uid ?? 0, 4_000_000, 0])).toEqual([
      'root',
      'gcalice',
      '4000000',
      'root',
    ]);
    expect(await names.groups(shell, [0, 4_000_001])).toEqual(['root', '4000001']);
    const before = ssh.poolStats();
    expect(await names.users(shell, [0, 4_000_000])).toEqual(['root', '4000000']);
    expect(ssh.poolStats()).toEqual(before);
  });
});
