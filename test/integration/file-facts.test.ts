/** checksum and file by their handlers, over a real sshd: what they read on the host, and what they say when they cannot. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import type { ChecksumAlgorithm } from '../../shared/operations/filesystem/checksum.ts';
import { handleChecksum } from '../../workers/operations/filesystem/checksum.ts';
import { handleFile } from '../../workers/operations/filesystem/file.ts';
import { itLeftNoCanary, names, useOwnTree } from './own-tree-fixture.ts';

const bob = userNamed(inject('lab').users, 'bob');
const { host, at, lay, link } = useOwnTree();

describe('checksum', () => {
  it.each<[ChecksumAlgorithm, string]>([
    ['MD5', 'md5'],
    ['SHA1', 'sha1'],
    ['SHA224', 'sha224'],
    ['SHA256', 'sha256'],
    ['SHA384', 'sha384'],
    ['SHA512', 'sha512'],
    ['BLAKE2B', 'blake2b512'],
  ])('%s is that of the content', async (algorithm, hash) => {
    for (const content of ['', 'hello\0\u00e9'.repeat(100_000)]) {
      lay({ data: content });
      const checksum = createHash(hash).update(content).digest('hex');
      expect(await handleChecksum({ path: at('data'), algorithm }, host.context())).toEqual({ algorithm, checksum });
    }
  });

  it.each(names)('is read with %s in the name', async (_title, name) => {
    lay({ [name]: name });
    const checksum = createHash('sha256').update(name).digest('hex');
    const answer = await handleChecksum({ path: at(name), algorithm: 'SHA256' }, host.context());
    expect(answer.checksum).toBe(checksum);
  });

  it('of what has none is an error that says so, at once', async () => {
    lay({ dir: null, locked: 'x' });
    execFileSync('mkfifo', [at('fifo')]);
    chmodSync(at('locked'), 0);
    const cases = [
      ['none', 'FileNotFound', /No such file or directory$/],
      ['dir', 'InvalidRequest', /not a regular file$/],
      ['fifo', 'InvalidRequest', /not a regular file$/],
      ['locked', 'PermissionDenied', /Permission denied$/],
    ] as const;
    for (const [name, code, message] of cases) {
      await expect(handleChecksum({ path: at(name), algorithm: 'SHA256' }, host.context())).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
  });
});

describe('file', () => {
  it.each([
    ['text', 'hello\n', 'ASCII text'],
    ['unicode', 'h\u00e9llo\n', /^(Unicode text, UTF-8|UTF-8 Unicode) text$/],
    ['script', '#!/bin/sh\n', /^POSIX shell script/],
    ['empty', '', 'empty'],
    ['dir', null, 'directory'],
  ])('of %s says what file(1) says', async (name, content, wanted) => {
    lay({ [name]: content });
    const { description } = await handleFile({ path: at(name) }, host.context());
    expect(description).toEqual(typeof wanted === 'string' ? wanted : expect.stringMatching(wanted));
  });

  it('names the target of a link as it is, and does not wait for a FIFO', async () => {
    lay({ 'zi\u00e9l': 'x' });
    link('zi\u00e9l', 'link');
    link('nowhere', 'broken');
    execFileSync('mkfifo', [at('fifo')]);
    const describe = async (name: string) => (await handleFile({ path: at(name) }, host.context())).description;
    expect(await describe('link')).toBe('symbolic link to zi\u00e9l');
    expect(await describe('broken')).toBe('broken symbolic link to nowhere');
    expect(await describe('fifo')).toBe('fifo (named pipe)');
  });

  it('of what is missing or hidden is an error, not an answer', async () => {
    await expect(handleFile({ path: at('none') }, host.context())).rejects.toMatchObject({
      code: 'FileNotFound',
      message: expect.stringMatching(/No such file or directory$/),
    });
    await expect(handleFile({ path: `${bob.home}/x` }, host.context())).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it.each(names)('takes a name with %s as it is', async (_title, name) => {
    lay({ [name]: 'hello\n' });
    expect(await handleFile({ path: at(name) }, host.context())).toEqual({ description: 'ASCII text' });
  });
});

itLeftNoCanary();
