/** The program that drives Magic Wormhole, with another side that falls silent, which a real one does not do when it is told to. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { moverExit } from '../../workers/transfers/mover-programs.ts';
import { silenceSeconds, wormholeProgram } from '../../workers/transfers/wormhole/wormhole-program.ts';
import { hosts } from './host-tools.ts';
import { runProgram } from './mover-program.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'goldcrest-wormhole-'));
  mkdirSync(join(folder, 'work'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Takes a part of what it says is offered, and then nothing more; its process is known by a file. */
const fakeSilentWormhole = `#!/bin/sh
for part; do :; done
read -r code
echo 'Receiving file (9 MB) into: file' >&2
read -r answer
echo "$answer" >"$part.tmp"
echo "$code $$" >took
exec sleep 600
`;

it('gives a silent other side up, ends the command and leaves nothing of the file', async () => {
  const command = join(folder, 'fake-silent-wormhole');
  writeFileSync(command, fakeSilentWormhole, { mode: 0o755 });
  const limit = `-lt ${silenceSeconds} `;
  expect(wormholeProgram.split(limit)).toHaveLength(2);
  const part = join(folder, 'part');
  const work = join(folder, 'work');
  const end = await runProgram({
    ...{ folder, work, tools: `${hosts[0][1]} readlink`, program: wormholeProgram.replace(limit, '-lt 1 ') },
    ...{ words: ['receive', join(folder, 'target'), part, '', 600, command], input: '7-code\n' },
  });
  // Before it, sh says how the command ended.
  expect([end.code, end.err.trim().split('\n').at(-1)]).toEqual([moverExit.brokeOff, 'the client was silent']);
  expect(end.out.trim()).toBe('connected');
  const [code, pid] = readFileSync(join(work, 'took'), 'utf8').trim().split(' ');
  expect(code).toBe('7-code');
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect([part, `${part}.tmp`, join(folder, 'target')].filter(existsSync)).toEqual([]);
});
