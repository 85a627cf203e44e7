import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandLine, type Word } from '../../shared/commands/command-line.ts';

/** Prints each argument with a NUL after it, so that any bytes can be told apart. */
const printer = ['printf', '%s\\0'];

function wordsThrough(shell: string, words: Word[], options = {}): Buffer[] {
  const output = execFileSync(shell, ['-c', commandLine([...printer, ...words], options)]);
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = output.indexOf(0); end >= 0; end = output.indexOf(0, start)) {
    parts.push(output.subarray(start, end));
    start = end + 1;
  }
  return parts;
}

const hostile = ["it's", '$(id)', '`id`', '!!', '~root', '=ls', '%1', '-n', '', ' ', 'a\nb', '\n', '\\', "\\'", 'x\\'];
hostile.push('*', '{a,b}', '"', ';', '#', '^a^b', 'ü', '\x81\x82\x88', 'a=~', '$HOME', '\\0101', '%b', '\r', '\t');

describe('commandLine', () => {
  it('gives any bytes back as the same words, through sh', () => {
    const word = fc
      .uint8Array({ minLength: 0, maxLength: 40 })
      .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 200 }), (words) => {
        expect(wordsThrough('sh', words)).toEqual(words);
      }),
      { numRuns: 60 },
    );
  });

  it('gives every single byte value back, alone and between others', () => {
    const words: Buffer[] = [];
    for (let byte = 1; byte < 256; byte += 1) words.push(Buffer.from([byte]), Buffer.from([97, byte, 0x31]));
    expect(wordsThrough('sh', words)).toEqual(words);
    expect(wordsThrough('bash', words)).toEqual(words);
  });

  it('keeps words that shells treat specially as data', () => {
    expect(wordsThrough('sh', hostile).map(String)).toEqual(hostile);
  });

  it('shows a login shell nothing but printable ASCII, and neither newline nor exclamation mark', () => {
    for (const word of hostile) {
      expect(commandLine(['echo', word])).toMatch(/^[ -~]+$/);
      expect(commandLine(['echo', word])).not.toContain('!');
    }
  });

  it('spends no octal on ordinary words', () => {
    expect(commandLine(['ls', '-la', '--', '/home/a'], { timeoutSeconds: 5 })).toBe(
      'exec /usr/bin/env LC_ALL=C timeout -k 2 5 ls -la -- /home/a',
    );
  });

  it('gives a shell that waits the same words, and printable ones without env and another sh', () => {
    const options = { isForSh: true, timeoutSeconds: 5 };
    expect(commandLine(['sbatch', '--parsable'], options)).toBe(
      'export LC_ALL=C; exec timeout -k 2 5 sbatch --parsable',
    );
    const locale = (more: object): string =>
      execFileSync('sh', ['-c', commandLine(['printenv', 'LC_ALL', 'A'], { ...options, ...more })], {
        env: { ...process.env, LC_ALL: 'POSIX', A: 'a' },
      }).toString();
    expect(locale({})).toBe('C\na\n');
    expect(() => locale({ unsetsLocale: true })).toThrow(
      expect.objectContaining({ status: 1, stdout: Buffer.from('a\n') }),
    );
    expect(locale({ env: { A: 'b' } })).toBe('C\nb\n');
    expect(wordsThrough('sh', hostile, options).map(String)).toEqual(hostile.map(String));
    expect(commandLine(['ls', "it's $(here)"], { ...options, cwd: '-' })).toBe(
      "export LC_ALL=C; cd -- ./- && exec timeout -k 2 5 ls 'it'\\''s $(here)'",
    );
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme-ascii' }), { minLength: 1, maxLength: 20 }), (words) => {
        expect(wordsThrough('sh', words, { ...options, cwd: '/tmp' }).map(String)).toEqual(words);
      }),
      { numRuns: 30 },
    );
  });

  it('refuses what cannot be an argv', () => {
    for (const argv of [['a', 'b\0'], [], [''], ['-x'], ['a=b'], ['cat', Buffer.from([65, 0])]]) {
      expect(() => commandLine(argv)).toThrowError(expect.objectContaining({ code: 'InvalidRequest' }));
    }
    expect(() => commandLine(['echo', 'x'.repeat(200_000)])).toThrowError(/too long/);
    expect(() => commandLine(['env'], { env: { 'A B': '1' } })).toThrowError(/environment/);
  });

  it('sets environment and directory without letting either become shell text', () => {
    const line = commandLine(['sh', '-c', 'printf "%s|%s|%s" "$A" "$PWD" "$LC_ALL"'], {
      env: { A: "x'; id\n" },
      cwd: '/tmp',
    });
    expect(execFileSync('sh', ['-c', line]).toString()).toBe("x'; id\n|/tmp|C");
  });

  it('ends a command that overruns, with exit code 124, and kills one that ignores that', () => {
    const status = (argv: string[]) => {
      try {
        execFileSync('sh', ['-c', commandLine(argv, { timeoutSeconds: 0.2, killAfterSeconds: 0.2 })]);
        return 0;
      } catch (error) {
        const { status, signal } = error as { status: number | null; signal: string | null };
        return status ?? signal;
      }
    };
    expect(status(['sleep', '5'])).toBe(124);
    expect([137, 'SIGKILL']).toContain(status(['sh', '-c', "trap '' TERM; while :; do sleep 1; done"]));
  });
});
