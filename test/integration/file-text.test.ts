/** head, tail and view on the lab's login node: real files, real /proc, FIFOs, and a file too large to be read whole. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { head } from '../../shared/operations/filesystem/head.ts';
import { tail } from '../../shared/operations/filesystem/tail.ts';
import { view } from '../../shared/operations/filesystem/view.ts';
import { handleHead } from '../../workers/operations/filesystem/head.ts';
import { handleTail } from '../../workers/operations/filesystem/tail.ts';
import { handleView } from '../../workers/operations/filesystem/view.ts';
import { type FileContext, type FileHost, openFileHost } from './filesystem-fixture.ts';

const lab = inject('lab');
let host: FileHost;
let folder: string;
let context: FileContext;

beforeAll(() => {
  host = openFileHost(lab, [tmpdir()]);
  context = host.context();
  folder = mkdtempSync(join(tmpdir(), 'gc-text-'));
  const alice = lab.users.find(({ username }) => username === 'gcalice');
  chownSync(folder, alice?.uid ?? 0, alice?.gid ?? 0);
  writeFileSync(join(folder, 'twenty'), Array.from({ length: 20 }, (_, n) => `${n + 1}\n`).join(''));
  writeFileSync(join(folder, 'empty'), '');
  writeFileSync(join(folder, 'private'), 'x', { mode: 0o600 });
  execFileSync('mkfifo', ['-m', '666', join(folder, 'fifo')]);
  symlinkSync('fifo', join(folder, 'to-fifo'));
  symlinkSync('twenty', join(folder, 'to-twenty'));
});

afterAll(async () => {
  await host?.close();
  if (folder) rmSync(folder, { recursive: true });
});

const at = (name: string): string => (name.startsWith('/') ? name : join(folder, name));
const headOf = (name: string, query: object = {}, within = context) =>
  handleHead(head.input.parse({ path: at(name), ...query }), within);
const tailOf = (name: string, query: object = {}, within = context) =>
  handleTail(tail.input.parse({ path: at(name), ...query }), within);
const viewOf = async (name: string, query: object = {}, within = context) =>
  (await handleView(view.input.parse({ path: at(name), ...query }), within)).text;

describe('the positions and the content are those of FirecREST v2', () => {
  const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => `${from + n}\n`).join('');

  it.each([
    [{}, 'lines', lines(1, 10), 10],
    [{ lines: 3 }, 'lines', lines(1, 3), 3],
    [{ lines: '3' }, 'lines', lines(1, 3), 3],
    [{ bytes: 5 }, 'bytes', '1\n2\n3', 5],
    [{ lines: 3, skipTrailing: 'yes' }, 'lines', lines(1, 17), -3],
    [{ bytes: 5, skipTrailing: true }, 'bytes', `${lines(1, 18)}1`, -5],
    [{ lines: -3 }, 'lines', lines(1, 17), -3],
    [{ skipTrailing: true }, 'lines', lines(1, 10), 10],
    [{ lines: 0 }, 'lines', lines(1, 10), 10],
    [{ lines: 0, bytes: 1 }, 'bytes', '1', 1],
    [{ lines: 99 }, 'lines', lines(1, 20), 99],
    [{ lines: 99, skipTrailing: true }, 'lines', '', -99],
  ])('of head with %j', async (query, contentType, content, endPosition) => {
    expect(await headOf('twenty', query)).toEqual({ content, contentType, startPosition: 0, endPosition });
  });

  it.each([
    [{}, 'lines', lines(11, 20), 10],
    [{ lines: 3 }, 'lines', lines(18, 20), -3],
    [{ lines: -3 }, 'lines', lines(18, 20), -3],
    [{ bytes: 5 }, 'bytes', '9\n20\n', -5],
    [{ lines: 3, skipHeading: true }, 'lines', lines(3, 20), 3],
    [{ bytes: 5, skipHeading: 1 }, 'bytes', lines(3, 20), 5],
    [{ lines: 1, skipHeading: true }, 'lines', lines(1, 20), 1],
    [{ lines: 99, skipHeading: true }, 'lines', '', 99],
    [{ lines: 99 }, 'lines', lines(1, 20), -99],
  ])('of tail with %j', async (query, contentType, content, startPosition) => {
    expect(await tailOf('twenty', query)).toEqual({ content, contentType, startPosition, endPosition: -1 });
  });

  it('both units at once, and a number with a sign where there is none, are refused', () => {
    for (const { input } of [head, tail]) {
      const refused = input.safeParse({ path: '/x', lines: 3, bytes: 3 });
      expect(refused.error?.message).toContain('Only one of `bytes` or `lines` can be specified');
      expect(input.safeParse({ path: '/x', lines: 'abc' }).success).toBe(false);
      expect(input.safeParse({ path: '/x', lines: 1.5 }).success).toBe(false);
    }
    expect(tail.input.safeParse({ path: '/x', lines: -3, skipHeading: true }).success).toBe(false);
    for (const wrong of [{ size: 0 }, { size: -1 }, { offset: -1 }, { size: 'x' }]) {
      expect(view.input.safeParse({ path: '/x', ...wrong }).success).toBe(false);
    }
  });
});

describe('a view', () => {
  it('is the file, whatever the limit, and its windows make up the file', async () => {
    expect(await viewOf('twenty')).toMatch(/^1\n2\n(.*\n)*20\n$/);
    expect(await viewOf('to-twenty', { size: 4, offset: '2' })).toBe('2\n3\n');
    const tiny = host.context({ maxOpsFileSizeBytes: 6 });
    expect(await viewOf('twenty', {}, tiny)).toBe('1\n2\n3\n');
    expect(await viewOf('twenty', { size: 6 }, tiny)).toBe('1\n2\n3\n');
    await expect(viewOf('twenty', { size: 7 }, tiny)).rejects.toMatchObject({
      code: 'InvalidRequest',
      message: expect.stringContaining('the `size` value must be at most 6 bytes'),
    });
  });

  it('past the end, and of an empty file, is empty', async () => {
    expect(await viewOf('twenty', { offset: 2 ** 50 })).toBe('');
    expect(await viewOf('empty')).toBe('');
    expect((await headOf('empty')).content).toBe('');
    expect((await tailOf('empty', { bytes: 3 })).content).toBe('');
  });

  it('keeps characters of several bytes, a byte order mark and NULs, and replaces what is no UTF-8', async () => {
    const text = `\ufeffé漢🦜\0${'漢'.repeat(50_000)}`;
    writeFileSync(at('utf8'), text);
    expect(await viewOf('utf8')).toBe(text);
    let read = '';
    const sizeBytes = Buffer.byteLength(text);
    for (let offset = 0; offset < sizeBytes; offset += 32_768) read += await viewOf('utf8', { offset, size: 32_768 });
    expect(read).toBe(text);
    writeFileSync(at('latin1'), Buffer.from([0x61, 0xe9, 0x62]));
    expect(await viewOf('latin1')).toBe('a\ufffdb');
  });

  it('of exactly the limit is answered, and one byte more is too large', async () => {
    const small = host.context({ maxOpsFileSizeBytes: 100_000 });
    writeFileSync(at('exact'), 'x'.repeat(100_000));
    writeFileSync(at('more'), 'x'.repeat(100_001));
    expect((await viewOf('exact', { size: 100_000 }, small)).length).toBe(100_000);
    expect((await headOf('exact', { bytes: 100_000 }, small)).content.length).toBe(100_000);
    expect((await tailOf('exact', {}, small)).content.length).toBe(100_000);
    for (const tooMuch of [
      () => headOf('more', {}, small),
      () => headOf('more', { bytes: 100_001 }, small),
      () => tailOf('more', {}, small),
      () => tailOf('more', { bytes: 1, skipHeading: true }, small),
    ]) {
      await expect(tooMuch()).rejects.toMatchObject({
        code: 'OutputTooLarge',
        message: expect.stringMatching(/^Command output exceeded buffer limit\./),
      });
    }
  });
});

it('the ends of a file of 8 GiB are read, not the file', async () => {
  writeFileSync(at('huge'), 'first\n');
  truncateSync(at('huge'), 8 * 2 ** 30);
  execFileSync('sh', ['-c', 'printf "\\nlast but one\\nlast\\n" >>"$1"', 'sh', at('huge')]);
  expect((await tailOf('huge', { lines: 2 })).content).toBe('last but one\nlast\n');
  expect((await tailOf('huge', { bytes: 5 })).content).toBe('last\n');
  expect((await headOf('huge', { lines: 1 })).content).toBe('first\n');
  expect(await viewOf('huge', { offset: 8 * 2 ** 30 + 1, size: 8 })).toBe('last but');
  await expect(headOf('huge', { lines: 1, skipTrailing: true })).rejects.toMatchObject({ code: 'OutputTooLarge' });
});

it('a file of /proc, which says it is empty, has a beginning, an end and a middle', async () => {
  expect((await headOf('/proc/self/status', { lines: 1 })).content).toMatch(/^Name:\t/);
  expect((await tailOf('/proc/self/status', { lines: 1 })).content).toMatch(/^nonvoluntary_ctxt_switches/);
  expect(await viewOf('/proc/self/status', { offset: 5 })).toMatch(/^\t/);
});

it.each([
  ['a directory', '.', 'InvalidRequest', /: Is a directory$/],
  ['a FIFO', 'fifo', 'InvalidRequest', /: Not a regular file$/],
  ['a link to a FIFO', 'to-fifo', 'InvalidRequest', /: Not a regular file$/],
  ['a device', '/dev/zero', 'InvalidRequest', /: Not a regular file$/],
  ['nothing', 'nothing', 'FileNotFound', /: No such file or directory$/],
  ['a file of another', 'private', 'PermissionDenied', /: Permission denied$/],
])('%s is refused at once, and holds up nobody', async (_title, name, code, message) => {
  for (const read of [headOf, tailOf, viewOf]) {
    await expect(read(name)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  }
  expect((await headOf('twenty', { lines: 1 })).content).toBe('1\n');
});
