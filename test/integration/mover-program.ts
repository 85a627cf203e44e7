/** Runs a program of the movers here, with the tools that a host may have or lack. */
import { spawn } from 'node:child_process';
import { pathWith } from './host-tools.ts';

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
