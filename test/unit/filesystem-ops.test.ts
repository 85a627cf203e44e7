import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum } from '../../shared/operations/filesystem/checksum.ts';
import { chmod } from '../../shared/operations/filesystem/chmod.ts';
import { chown } from '../../shared/operations/filesystem/chown.ts';
import { compress } from '../../shared/operations/filesystem/compress.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { pathFieldsOf } from '../../shared/operations/paths.ts';
import { findOperation, operationNames } from '../../shared/operations/registry.ts';
import { nameInside } from '../../workers/operations/filesystem/archive-source.ts';
import { parseChecksum } from '../../workers/operations/filesystem/checksum.ts';
import { numericMode } from '../../workers/operations/filesystem/chmod.ts';
import { partialPath } from '../../workers/operations/filesystem/partial-path.ts';
import { archiveSayings } from '../../workers/operations/filesystem/tar.ts';
import { remoteFailure } from '../../workers/operations/remote-failure.ts';

const taskId = '01900000-0000-7000-8000-000000000001';

describe('a mode', () => {
  it.each([
    ...['0', '7', '640', '0755', '4755', '00755', '+x', '-w', '=755', '+111', 'u+rwx,g-w', 'a=rX', 'u=g,o='],
    ...['ug+s,o+t', '+', 'u+r-w'],
  ])('%s is one that chmod reads', (mode) => {
    expect(chmod.input.parse({ path: '/a', mode }).mode).toBe(mode);
  });

  it.each([
    '',
    '8',
    '77777',
    'bogus',
    '--help',
    '-R',
    '-v',
    'u',
    '+rwq',
    '600 ',
    "600' ; id #",
    'u+r,',
    '0x1ff',
    null,
    600,
  ])('%j is refused before anything runs', (mode) => {
    expect(chmod.input.safeParse({ path: '/a', mode }).success).toBe(false);
  });

  it.each([
    ['755', 0o100644, 0o755],
    ['4755', 0o100644, 0o4755],
    ['755', 0o106644, 0o755],
    ['755', 0o042700, 0o2755],
    ['755', 0o047700, 0o6755],
    ['0755', 0o042700, 0o2755],
    ['00755', 0o042700, 0o755],
    ['1755', 0o042700, 0o3755],
    ['755', 0o041700, 0o755],
    ['0', 0o100777, 0],
  ])('of digits %s makes of %o the bits %o, as GNU chmod has it', (digits, present, wanted) => {
    expect(numericMode(digits, present)).toBe(wanted);
  });
});

describe('fields with FirecREST’s leniency', () => {
  it.each([
    [{}, ['', '']],
    [{ owner: null, group: null }, ['', '']],
    [{ owner: '', group: 'staff' }, ['', 'staff']],
    [{ owner: '1000', group: '' }, ['1000', '']],
  ])('chown of %j', (sent, wanted) => {
    const { owner, group } = chown.input.parse({ path: '/a', ...sent });
    expect([owner, group]).toEqual(wanted);
  });

  it.each(['a:b', ':', 'a\nb', 'a\0', 5])('an owner %j is refused', (owner) => {
    expect(chown.input.safeParse({ path: '/a', owner }).success).toBe(false);
  });

  it.each([
    [undefined, 'SHA256'],
    ['', 'SHA256'],
    [null, 'SHA256'],
    ['sha512', 'SHA512'],
    ['SHA-256', 'SHA256'],
    ['md5', 'MD5'],
    ['sha1', 'SHA1'],
    ['blake2b', 'BLAKE2B'],
  ])('a checksum by %j is %s', (algorithm, wanted) => {
    expect(checksum.input.parse({ path: '/a', algorithm }).algorithm).toBe(wanted);
  });

  it.each(['crc', 'sha257', 'constructor', 'a\0b'])('a checksum by %j is refused', (algorithm) => {
    expect(checksum.input.safeParse({ path: '/a', algorithm }).success).toBe(false);
  });

  it('compress has gzip, no pattern and no dereference where nothing or null is sent', () => {
    const unset = { matchPattern: null, dereference: false, compression: 'gzip' };
    for (const sent of [{}, { matchPattern: null, compression: null }, { matchPattern: '', compression: '' }]) {
      expect(compress.input.parse({ path: '/a', targetPath: '/b', ...sent })).toMatchObject(unset);
    }
    expect(compress.input.safeParse({ path: '/a', targetPath: '/b', compression: 'zip' }).success).toBe(false);
  });
});

it('every path of a request is one that is admitted', () => {
  const ofPaths = operationNames
    .filter((name) => name.startsWith('filesystem.'))
    .map((name) => findOperation(name) as Operation);
  for (const operation of ofPaths) {
    const { name, input } = operation;
    const fields = Object.keys(input.shape).filter((field) => /path$/i.test(field));
    const paths = pathFieldsOf(operation).map(({ field }) => field);
    expect(paths.sort(), name).toEqual(fields.sort());
  }
});

describe('a part', () => {
  it('lies beside its target under a hidden name with the task in it', () => {
    expect(partialPath('/a/b.tgz', taskId)).toBe(`/a/.b.tgz.part-${taskId}`);
    expect(partialPath('/b', 't')).toBe('/.b.part-t');
  });

  it('has a name that every file system takes, whatever the target’s name is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }), (text) => {
        const name = text.replaceAll('/', '_');
        const part = partialPath(`/a/${name}`, taskId);
        const partName = part.slice(part.lastIndexOf('/') + 1);
        return Buffer.byteLength(partName) <= 255 && partName.startsWith('.') && Buffer.from(part).toString() === part;
      }),
    );
    expect(Buffer.byteLength(partialPath(`/${'é'.repeat(127)}x`, taskId))).toBeLessThanOrEqual(256);
  });
});

describe('the answer of a checksum program', () => {
  const sum = 'b76ae83c50d6104039c80d312402af3027661e07066325526ad997daf6362bbc';
  it.each([
    ['a plain name', `${sum}  /home/a\n`],
    ['a name with spaces', `${sum}  /home/a b  c\n`],
    ['a name with a line break, escaped', `\\${sum}  /home/a\\nb\n`],
    ['a greeting of the shell before it', `Welcome!\n${'0'.repeat(64)}  no\n${sum}  /home/a\n`],
    ['a binary file', `${sum} */home/a\n`],
  ])('is read with %s', (_title, stdout) => {
    expect(parseChecksum(stdout, 'sha256sum', 64)).toBe(sum);
  });

  it.each(['', 'hello', `${sum}\n`, `${sum}0  /a\n`, `${sum.slice(1)}  /a\n`])('is refused when it is %j', (stdout) => {
    expect(() => parseChecksum(stdout, 'sha256sum', 64)).toThrow(
      expect.objectContaining({ code: 'RemoteCommandFailed' }),
    );
  });
});

describe('a command that failed', () => {
  const run = (stderr: string, exitCode: number | null = 1) => ({
    stdout: Buffer.alloc(0),
    stderr: Buffer.from(stderr),
    exitCode,
    ...(exitCode === null ? { signalName: 'KILL' } : {}),
  });

  it.each([
    ["rm: cannot remove '/a': No such file or directory", 'FileNotFound'],
    ["chmod: changing permissions of '/home': Operation not permitted", 'PermissionDenied'],
    ["rm: cannot remove '/a/b': Permission denied\nrm: cannot remove '/a/c': Permission denied\n", 'PermissionDenied'],
    ["chown: invalid user: 'nosuch'", 'InvalidUser'],
    ["chown: invalid group: ':nosuch'", 'InvalidUser'],
    ["chown: invalid spec: 'nosuch:'", 'InvalidUser'],
    [
      'tar (child): bzip2: Cannot exec: No such file or directory\ntar (child): Error is not recoverable',
      'NotSupported',
    ],
    ['tar: d: Cannot mkdir: Permission denied\ntar: d/x: Cannot open: No such file or directory', 'PermissionDenied'],
    ['tar: a: Cannot stat: No such file or directory\ntar: Exiting with failure status', 'FileNotFound'],
    ["chown: cannot access '/l1/x': Too many levels of symbolic links", 'FileNotFound'],
    [`mv: cannot stat '/${'n'.repeat(256)}': File name too long`, 'InvalidRequest'],
    [
      "mv: inter-device move failed: '/a' to '/ro/a'; unable to remove target: Read-only file system",
      'PermissionDenied',
    ],
    [
      'tar: d: Cannot mkdir: Read-only file system\ntar: d/p: Cannot mkfifo: No such file or directory',
      'PermissionDenied',
    ],
    ["cp: cannot copy a directory, '/a', into itself, '/a/b'", 'InvalidRequest'],
    ["cp: '/a' and '/a' are the same file", 'InvalidRequest'],
    ["mv: cannot move '/a' to a subdirectory of itself, '/a/b/a'", 'InvalidRequest'],
    ["cp: cannot overwrite non-directory '/f' with directory '/d'", 'InvalidRequest'],
    ["mv: cannot overwrite non-directory '/f' with directory '/d'", 'InvalidRequest'],
    ["cp: error writing '/a/ are the same file': No space left on device", 'RemoteCommandFailed'],
    ["rm: cannot remove '/a: Permission denied'$'\\n''b': Device or resource busy", 'RemoteCommandFailed'],
    ["rm: cannot remove 'Permission denied': Disk quota exceeded", 'RemoteCommandFailed'],
    ['', 'RemoteCommandFailed'],
  ])('saying %j is %s', (stderr, code) => {
    const error = remoteFailure('tool', run(stderr));
    expect(error.code).toBe(code);
    const reason = stderr === '' ? '' : ` and error message:${stderr.trim()}`;
    expect(error.message).toBe(`Remote process failed with exit status:1${reason}`);
  });

  it('is not supported where the command is missing, and not a missing file', () => {
    const error = remoteFailure('file', run("timeout: failed to run command 'file': No such file or directory", 127));
    expect([error.code, error.message]).toEqual(['NotSupported', 'The system has no command file.']);
  });

  it('names the signal that ended it', () => {
    expect(remoteFailure('rm', run('', null)).message).toBe('Remote process failed with exit status:signal KILL');
  });

  it('is told at bounded length', () => {
    expect(remoteFailure('rm', run('x'.repeat(1_000_000))).message.length).toBeLessThan(2_100);
  });

  it.each([
    'gzip: stdin: not in gzip format\ntar: Child returned status 1',
    'xz: (stdin): File format not recognized',
    'bzip2: (stdin) is not a bzip2 file.',
    'tar: This does not look like a tar archive',
    'gzip: stdin: unexpected end of file\ntar: Unexpected EOF in archive',
    'xz: (stdin): Unexpected end of input',
  ])('on what is no archive is the caller’s: %j', (stderr) => {
    expect(remoteFailure('tar', run(stderr, 2), archiveSayings).code).toBe('InvalidRequest');
  });
});

describe('the name of the old archive among what is packed', () => {
  const nameOf = (real: string, target: string) =>
    nameInside({ name: Buffer.from('b'), real: Buffer.from(real, 'latin1') }, Buffer.from(target, 'latin1'));

  it.each([
    ['/a/b', '/a/b/x.tgz', 'b/x.tgz'],
    ['/a/b', '/a/b/c/x.tgz', 'b/c/x.tgz'],
    ['/a/b', '/a/b/..x', 'b/..x'],
    ['/', '/x.tgz', 'b/x.tgz'],
    ['/a/b', '/a/b/\xff', 'b/\xff'],
    ['/a/b', '/a/x.tgz', null],
    ['/a/b', '/a/bb/x.tgz', null],
    ['/a/b', '/a/b', null],
  ])('of %s with target %s is %s', (real, target, name) => {
    expect(nameOf(real, target)?.toString('latin1') ?? null).toBe(name);
  });
});
