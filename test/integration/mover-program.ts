/** Runs a program of the movers here, with the tools that a host may have or lack, against a real S3 server. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What a host needs. */
const needed =
  'sh awk base64 cat chmod curl dd df grep head kill md5sum mkfifo mv rm sed sha256sum sleep stat sync tail tee';

/** What hosts have besides, by name. */
export const hosts = [
  ['Python and openssl', `${needed} python3 openssl`],
  ['openssl and no Python', `${needed} openssl`],
  ['neither', needed],
] as const;

/** A path in a new directory of `folder` on which only these are. */
function pathWith(folder: string, tools: string): string {
  const path = mkdtempSync(join(folder, 'path-'));
  for (const tool of tools.split(' ')) {
    const found = ['/usr/bin', '/bin'].map((place) => join(place, tool)).find(existsSync);
    if (found !== undefined) symlinkSync(found, join(path, tool));
  }
  return path;
}

export interface ProgramRun {
  /** Where directories are made. */
  folder: string;
  tools: string;
  /** The directory of the work. */
  work: string;
  program: string;
  words: readonly (string | number)[];
  input: string;
}

/** How it ended and what it said. */
export async function runProgram({ folder, tools, work, program, words, input }: ProgramRun) {
  const env = { PATH: pathWith(folder, tools), LC_ALL: 'C' };
  const child = spawn('sh', ['-c', program, 'goldcrest-mover', ...words.map(String)], { cwd: work, env });
  child.stdin.end(input);
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    said.out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said.err += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { ...said, code };
}
