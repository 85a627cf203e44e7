/** The programs that read a file for a relay, with the tools that a host may have or lack. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
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

/** The digest that a part says it has, and its bytes. */
function split(stdout: Buffer): { said: string; bytes: Buffer } {
  const end = stdout.indexOf('\n');
  return { said: stdout.toString('latin1', 0, end), bytes: stdout.subarray(end + 1) };
}

function part(from: number, bytes: number, algorithm: string, path: string, beatSeconds = 60) {
  const { status, stdout } = run(readPartProgram, ['work', file, from, bytes, algorithm, beatSeconds], path);
  return { status, ...split(stdout) };
}

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
  it.each(['sha256', 'md5'])('a part goes as it is, behind its %s', (algorithm) => {
    for (const bytes of [mebi + 5, 2 * mebi + 7]) {
      const { status, said, ...gone } = part(mebi, bytes, algorithm, pathOf());
      const wanted = content.subarray(mebi, mebi + bytes);
      expect([status, said, gone.bytes.equals(wanted)]).toEqual([0, of(algorithm, wanted), true]);
    }
  });

  it('of a part that is not there, nothing goes for all of it', () => {
    const { bytes } = part(2 * mebi, 2 * mebi, 'sha256', pathOf());
    expect([0, mebi + 7]).toContain(bytes.length);
    expect(bytes.equals(content.subarray(2 * mebi, 2 * mebi + bytes.length))).toBe(true);
  });

  it('a file is hashed whole', () => {
    const words = [file, content.length, Math.floor(statSync(file).mtimeMs / 1_000), 'sent'];
    const { status, stdout } = run(checkProgram, words, pathOf());
    expect([status, stdout.toString()]).toEqual([0, `sha256 ${of('sha256', content)}\n`]);
  });
});

it('a part that takes long to read is known to be read, by spaces before its digest', () => {
  const { status, said, bytes } = part(mebi, mebi + 5, 'sha256', pathWith(folder, `${needed} python3`), 0);
  const wanted = content.subarray(mebi, 2 * mebi + 5);
  expect(said).toMatch(/^ {2,}[0-9a-f]{64}$/);
  expect([status, said.trimStart(), bytes.equals(wanted)]).toEqual([0, of('sha256', wanted), true]);
});

it('a part goes as it is where its bytes have to be copied', () => {
  const path = join(folder, 'appended');
  // sendfile(2) writes to no file that is open for appending.
  const output = openSync(path, 'a');
  const words = ['-c', readPartProgram, 'goldcrest-push', 'work', file, mebi, mebi + 5, 'sha256', 60].map(String);
  const env = { HOME: folder, PATH: pathWith(folder, `${needed} python3`) };
  const { status } = spawnSync('sh', words, { env, stdio: ['ignore', output, 'ignore'] });
  closeSync(output);
  const { said, bytes } = split(readFileSync(path));
  const wanted = content.subarray(mebi, 2 * mebi + 5);
  expect([status, said, bytes.equals(wanted)]).toEqual([0, of('sha256', wanted), true]);
});
