/** extract by its handler, over a real sshd: what it unpacks, where it ends, and what it says when it cannot. */
import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Compression } from '../../shared/operations/filesystem/compression.ts';
import { handleCompress } from '../../workers/operations/filesystem/compress.ts';
import { handleExtract } from '../../workers/operations/filesystem/extract.ts';
import { processesNaming, useOwnTree } from './own-tree-fixture.ts';

const { own, host, at, lay } = useOwnTree();

const defaults = { matchPattern: null, dereference: false, compression: 'gzip' as const };

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

describe('an archive that unfolds to too much', () => {
  it.each(['gzip', 'bzip2', 'xz'] as const)(
    'is given up (%s) at the bytes that an archive may unpack to, and says so',
    async (compression) => {
      lay({ out: null });
      const flag = { gzip: '-z', bzip2: '-j', xz: '-J' }[compression];
      execFileSync('sh', ['-c', `truncate -s 300M zeros && tar -c ${flag} -f bomb zeros && rm zeros`], {
        cwd: own.path,
      });
      expect(lstatSync(at('bomb')).size).toBeLessThan(2 ** 20);
      own.giveAway();
      const context = host.context({ unpack: { unpackBytesMax: 2 ** 20 } });
      const input = { path: at('bomb'), targetPath: at('out'), compression };
      await expect(handleExtract(input, context)).rejects.toMatchObject({
        code: 'ArchiveTooLarge',
        message:
          'The archive unpacks to more than 1048576 bytes (`unpack_size_max`); what was unpacked until then stays.',
      });
      expect(lstatSync(at('out/zeros')).size).toBeLessThanOrEqual(2 ** 20);
      expect(processesNaming(at('bomb'))).toEqual([]);
    },
  );

  it('is given up at the number of entries, and unpacked where it is just within both bounds', async () => {
    lay({
      out: null,
      full: null,
      ...Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`many/${n}`, null])),
    });
    execFileSync('tar', ['-czf', 'many.tgz', 'many'], { cwd: own.path });
    lay({ 'few/a': 'a', 'few/b': 'b' });
    execFileSync('tar', ['-cf', 'few.tar', 'few'], { cwd: own.path });
    own.giveAway();
    const many = { path: at('many.tgz'), targetPath: at('out'), compression: 'gzip' as const };
    await expect(handleExtract(many, host.context({ unpack: { unpackEntriesMax: 100 } }))).rejects.toMatchObject({
      code: 'ArchiveTooLarge',
      message: expect.stringMatching(/^The archive unpacks to more than 100 entries \(`unpack_entries_max`\)/),
    });
    // What is in the pipe by then is still unpacked.
    expect(readdirSync(at('out/many')).length).toBeLessThan(15_000);
    const few = { path: at('few.tar'), targetPath: at('full'), compression: 'none' as const };
    const within = { unpackBytesMax: lstatSync(at('few.tar')).size, unpackEntriesMax: 3 };
    await handleExtract(few, host.context({ unpack: within }));
    expect(readdirSync(at('full/few')).sort()).toEqual(['a', 'b']);
    for (const unpack of [
      { ...within, unpackEntriesMax: 2 },
      { ...within, unpackBytesMax: within.unpackBytesMax - 1 },
    ]) {
      await expect(handleExtract(few, host.context({ unpack }))).rejects.toMatchObject({ code: 'ArchiveTooLarge' });
    }
  });
});

describe('an archive whose size proves that it passes no bound', () => {
  const gzip = (name: string) => ({ path: at(name), targetPath: at('out'), compression: 'gzip' as const });
  const mebi = { unpackBytesMax: 2 ** 20 };

  /** What the handler has run, by the first word of each command. */
  function watched(context: ReturnType<typeof host.context>) {
    const ran: string[] = [];
    const shell: typeof context.shell = {
      run(argv, options) {
        ran.push(String(argv[0]));
        return context.shell.run(argv, options);
      },
    };
    return { ran, context: { ...context, shell } };
  }

  it('is unpacked by tar alone: in several members, with trailing zeros, with holes that are larger than the bound', async () => {
    lay({ out: null, a: 'a' });
    const script = `truncate -s 50M hole && tar --sparse -cf all.tar a hole &&
      { head -c 700 all.tar | gzip && tail -c +701 all.tar | gzip; } >members.tgz && { gzip -c all.tar; head -c 512 /dev/zero; } >padded.tgz`;
    execFileSync('sh', ['-c', script], { cwd: own.path });
    own.giveAway();
    for (const name of ['members.tgz', 'padded.tgz']) {
      const { ran, context } = watched(host.context({ unpack: mebi }));
      await handleExtract(gzip(name), context);
      expect([ran, lstatSync(at('out/hole')).size, readFileSync(at('out/a'), 'utf8')]).toEqual([
        ['tar'],
        50 * 2 ** 20,
        'a',
      ]);
    }
  });

  it('and another in its place by then is held to the bounds all the same', async () => {
    lay({ out: null, a: 'a' });
    execFileSync('sh', ['-c', 'tar -czf small.tgz a && truncate -s 300M zeros && tar -czf bomb zeros && rm zeros'], {
      cwd: own.path,
    });
    own.giveAway();
    const { ran, context } = watched(host.context({ unpack: mebi }));
    const files: typeof context.files = {
      ...context.files,
      async stat(path, options) {
        const found = await context.files.stat(path, options);
        if (path === at('small.tgz')) renameSync(at('bomb'), at('small.tgz'));
        return found;
      },
    };
    await expect(handleExtract(gzip('small.tgz'), { ...context, files })).rejects.toMatchObject({
      code: 'ArchiveTooLarge',
    });
    expect(ran).toEqual(['tar', 'sh']);
    expect(lstatSync(at('out/zeros')).size).toBeLessThanOrEqual(2 ** 20);
    expect(processesNaming(at('small.tgz'))).toEqual([]);
  });
});
