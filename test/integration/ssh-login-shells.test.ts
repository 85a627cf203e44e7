import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { labUserCa, sshTo, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
let ssh: Ssh;

beforeAll(() => {
  ssh = sshTo(systemOptions(lab.sshd, { commandTimeoutMs: 30_000 }), labUserCa(lab));
});

afterAll(async () => {
  await ssh?.close();
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomWords(seed: number, count: number): Buffer[] {
  let state = seed;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return Array.from({ length: count }, () => Buffer.from(Array.from({ length: next(24) }, () => 1 + next(255))));
}

function cut(output: Buffer): string[] {
  return output.toString('latin1').split('\0').slice(0, -1);
}

const shells = ['gcalice', 'gcdash', 'gczsh', 'gctcsh', 'gcfish'];
const hostile = [
  "it's",
  '$(id)',
  '`id`',
  '!!',
  '!1',
  '~',
  '=ls',
  '%1',
  '-n',
  '',
  'a\nb',
  '\\',
  "\\'",
  '{a,b}',
  '*',
  '^a^b',
];
hostile.push('"', ';', '#c', '|', '&', '>x', '(', 'ü', 'a=~', '$HOME', '\\041', '\r', '\t', '@', 'end', 'and', '[a]');

describe('a command line', () => {
  it.each(shells)(
    'gives 10,000 random byte strings back as the same words through the login shell of %s',
    async (username) => {
      const shell = ssh.shell('lab', username);
      for (let batch = 0; batch < 10; batch += 1) {
        const words = randomWords(batch * 7 + 1, 1_000);
        const { stdout, stderr, exitCode } = await shell.run(['printf', '%s\\0', ...words]);
        expect([exitCode, stderr.toString()]).toEqual([0, '']);
        expect(cut(stdout)).toEqual(words.map((word) => word.toString('latin1')));
      }
    },
    60_000,
  );

  it.each(shells)(
    'keeps what shells treat specially as data through the login shell of %s',
    async (username) => {
      const { stdout } = await ssh.shell('lab', username).run(['printf', '%s\\0', ...hostile]);
      expect(cut(stdout)).toEqual(hostile.map((word) => Buffer.from(word).toString('latin1')));
      for (const word of hostile) {
        const alone = await ssh.shell('lab', username).run(['printf', '%s\\0', word]);
        expect(alone.stdout.toString()).toBe(`${word}\0`);
      }
    },
    60_000,
  );

  it.each(shells)('sets environment, directory and standard input under the login shell of %s', async (username) => {
    const script = 'printf "%s|%s|%s|" "$A" "$PWD" "$LC_ALL"; cat';
    const { stdout } = await ssh.shell('lab', username).run(['sh', '-c', script], {
      env: { A: "x'; id\n" },
      cwd: '/tmp',
      stdin: 'in\n',
    });
    expect(stdout.toString()).toBe("x'; id\n|/tmp|C|in\n");
  });
});
