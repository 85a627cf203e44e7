import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { targetRoomProgram } from '../../workers/transfers/target-room.ts';

let folder: string;
let device: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-room-'));
  device = execFileSync('df', ['-P', folder]).toString().split('\n')[1]?.split(' ')[0] ?? '';
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the program says where the fake tool of that name, which no kernel of a test machine has a quota for, says this. */
function ask(fakeTool: string, says: string, kibibytes: number) {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, fakeTool), `#!/bin/sh\ncat <<'said'\n${says.replaceAll('DEVICE', device)}\nsaid\n`);
  chmodSync(join(bin, fakeTool), 0o755);
  const env = { PATH: `${bin}:${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', targetRoomProgram, 'sh', folder, String(kibibytes)], {
    env,
  });
  return { status, said: `${stdout}${stderr}`.trim() };
}

// quota 4.06, `quota -uwp`.
const linux = (used: string, hard: number) => `Disk quotas for user alice (uid 1000): 
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
      DEVICE  ${used}  900000 ${hard}       0      12       0       0       0
      other:/x  1  1  2       0      12       0       0       0`;
// Lustre 2.15, `lfs quota -q -u alice /path`; a long path stands on a line of its own.
const lustre = (used: string, hard: number) =>
  `/a/long/path/of/a/file/system\n                ${used}  900000 ${hard}       -      12       0       0       -`;

describe.each([
  ['quota', linux],
  ['lfs', lustre],
] as const)('what %s tells', (tool, says) => {
  it('bounds an upload before a byte is sent', () => {
    expect(ask(tool, says('400000', 1_000_000), 600_000)).toEqual({ status: 0, said: 'quota 600000' });
    expect(ask(tool, says('400000', 1_000_000), 600_001)).toEqual({ status: 122, said: '600000' });
    expect(ask(tool, says('1100000*', 1_000_000), 1)).toEqual({ status: 122, said: '0' });
    expect(ask(tool, says('400000', 0), 600_001)).toEqual({ status: 0, said: 'quota none' });
  });

  it('is nothing where it knows nothing of the file system', () => {
    expect(ask(tool, 'Disk quotas for user alice (uid 1000): none', 1)).toMatchObject({ status: 0 });
  });
});

it('without a tool the quota is unknown, and a full file system is told', () => {
  expect(ask('none', '', 1)).toEqual({ status: 0, said: 'quota unknown' });
  expect(ask('none', '', 2 ** 43).status).toBe(28);
});
