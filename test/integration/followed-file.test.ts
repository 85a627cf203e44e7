/** A file that is followed over SFTP: its bytes as they come, and word of it where they are another file's. */
import { appendFileSync, chmodSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { createFollowedFile, type FollowedFile } from '../../workers/operations/compute/followed-file.ts';
import type { RemoteFiles } from '../../workers/ssh/remote-files.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { labUserCa, sshTo, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
let ssh: Ssh;
let files: RemoteFiles;
let folder: string;
let path: string;
let followed: FollowedFile;

beforeAll(() => {
  ssh = sshTo(systemOptions(lab.sshd), labUserCa(lab));
  files = ssh.files('lab', 'gcalice');
  folder = mkdtempSync(join(tmpdir(), 'gc-followed-'));
  chmodSync(folder, 0o755);
});

afterAll(async () => {
  await ssh?.close();
  if (folder) rmSync(folder, { recursive: true });
});

beforeEach(({ task }) => {
  path = join(folder, task.id);
  followed = createFollowedFile(path, files, 0);
});

async function look(bytesMax = 65_536): Promise<string> {
  const found = await followed.look(bytesMax, {});
  return found === 'anew' ? '(anew)' : found.toString();
}

const looks = async (count: number): Promise<string[]> => {
  const seen: string[] = [];
  for (let n = 0; n < count; n += 1) seen.push(await look());
  return seen;
};

function replaceBy(text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

it('comes whole, in the parts in which it was written and asked for, however large its beginning is', async () => {
  const told: string[] = [];
  for (const part of ['a', 'b'.repeat(1_022), 'c', 'd'.repeat(5_000), 'e']) {
    appendFileSync(path, part);
    for (let text = await look(1_500); text !== ''; text = await look(1_500)) told.push(text);
  }
  expect(told.join('')).toBe(`a${'b'.repeat(1_022)}c${'d'.repeat(5_000)}e`);
  expect(told.every((text) => text.length <= 1_500)).toBe(true);
});

it.each<[string, string, () => void]>([
  ['a longer one', 'one', () => replaceBy('another')],
  [
    'a longer one with the same beginning',
    `${'x'.repeat(2_000)}one`,
    () => replaceBy(`${'x'.repeat(2_000)}two, longer`),
  ],
  ['a longer one with the same end', 'one, the same', () => replaceBy('two, the same, and more')],
  ['a shorter one', 'one', () => replaceBy('x')],
  ['itself, emptied and written anew', 'one', () => writeFileSync(path, 'another')],
])('that gave way to %s is told to begin anew, once, and is read from there', async (_title, before, change) => {
  writeFileSync(path, before);
  expect(await looks(2)).toEqual([before, '']);
  change();
  const [first, after, rest] = await looks(3);
  expect([first, rest]).toEqual(['(anew)', '']);
  expect(after).toBe((await files.readFile(path, { bytesMax: 10_000 })).toString());
});

it('that gave way to one of its size is noticed by the time of its change, and one that was only touched goes on', async () => {
  writeFileSync(path, 'one');
  expect(await looks(1)).toEqual(['one']);
  utimesSync(path, 1_000, 1_000);
  expect(await looks(1)).toEqual(['']);
  appendFileSync(path, ' more');
  expect(await looks(1)).toEqual([' more']);
  writeFileSync(path, 'all else');
  utimesSync(path, 2_000, 2_000);
  expect(await looks(3)).toEqual(['(anew)', 'all else', '']);
});

it('that is taken up from an offset is held to what was there then', async () => {
  writeFileSync(path, 'first and second');
  followed = createFollowedFile(path, files, 5);
  expect(await look()).toBe(' and second');
  replaceBy('third, which is longer than both');
  expect(await looks(2)).toEqual(['(anew)', 'third, which is longer than both']);
  followed = createFollowedFile(path, files, 1_000);
  expect(await look()).toBe('(anew)');
});
