/** The programs that read a file for a relay, with the tools that a host may have or lack. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkProgram, readPartProgram } from '../../workers/transfers/relay-programs.ts';
import { hosts, needed, pathWith } from './host-tools.ts';

const mebi = 2 ** 20;
const content = randomBytes(3 * mebi + 7);
const of = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest('hex');
let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'goldcrest-relay-'));
  mkdirSync(join(folder, 'work'));
  for (const mark of ['ready', 'sent']) writeFileSync(join(folder, 'work', mark), '');
  file = join(folder, "-n it's ü");
  writeFileSync(file, content);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(program: string, words: readonly (string | number)[], path: string) {
  const options = { cwd: join(folder, 'work'), env: { HOME: folder, PATH: path, LC_ALL: 'C' }, maxBuffer: 2 ** 24 };
  return spawnSync('sh', ['-c', program, 'goldcrest-push', ...words.map(String)], options);
}

const part = (from: number, bytes: number, path: string) => run(readPartProgram, ['work', file, from, bytes], path);

/** Where the program of that name is there and does not work. */
function withBrokenPython(): string {
  const path = pathWith(folder, needed);
  writeFileSync(join(path, 'python3'), '#!/bin/sh\necho "no module named hashlib" >&2\nexit 1\n');
  chmodSync(join(path, 'python3'), 0o755);
  return path;
}

describe.each([
  ...hosts.map(([what, tools]) => [what, () => pathWith(folder, tools)] as const),
  ['a Python that does not work', withBrokenPython] as const,
])('on a host with %s', (_what, pathOf) => {
  it('a part goes as it is, and its MD5 beside it', () => {
    for (const bytes of [mebi + 5, 2 * mebi + 7]) {
      const { status, stdout, stderr } = part(mebi, bytes, pathOf());
      const wanted = content.subarray(mebi, mebi + bytes);
      expect([status, stdout.equals(wanted)]).toEqual([0, true]);
      expect(stderr.toString()).toContain(of('md5', wanted));
    }
  });

  it('no more goes than is there', () => {
    expect(part(2 * mebi, 2 * mebi, pathOf()).stdout.equals(content.subarray(2 * mebi))).toBe(true);
  });

  it('a file is hashed whole', () => {
    const words = [file, content.length, Math.floor(statSync(file).mtimeMs / 1_000), 'sent'];
    const { status, stdout } = run(checkProgram, words, pathOf());
    expect([status, stdout.toString()]).toEqual([0, `sha256 ${of('sha256', content)}\n`]);
  });
});
