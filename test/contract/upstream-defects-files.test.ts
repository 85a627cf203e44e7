/** What FirecREST v2 gets wrong with files, held to what its users need, through the running broker on a real host. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { type Broker, type Client, clientOf, pathQuery, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { hostileNames } from '../system/hostile-names.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const ops = '/filesystem/lab/ops';
const limitBytes = 64 * 1024;

let broker: Broker;
let client: Client;
let own: OwnDirectory;
let at: (name: string) => string;

beforeAll(async () => {
  // Nothing is probed here, as in `probing: {}`: upstream then checks no path at all.
  broker = await startBroker(lab, { scheduler: 'process', dataOperation: { max_ops_file_size: limitBytes } });
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

beforeEach(() => {
  own?.remove();
  own = homeDirectory(alice);
  at = (name) => join(own.path, name);
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

async function output(method: string, request: string, body?: unknown): Promise<unknown> {
  const answer = await client.send(method, `${ops}/${request}`, body === undefined ? {} : { body });
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer.body?.output;
}

async function statusOf(method: string, request: string, body?: unknown): Promise<number> {
  return (await client.send(method, `${ops}/${request}`, body === undefined ? {} : { body })).status;
}

const canary = 'goldcrest-defect-canary';
const names = Object.entries(hostileNames(`touch ${canary}`));

describe('defect 1: quotes in a path end no command, and every legal name is a name', () => {
  it.each(names)('%s', async (_title, name) => {
    const path = at(name);
    const query = pathQuery(path);
    expect(await output('POST', 'mkdir', { path })).toMatchObject({ name: path, type: 'd' });
    writeFileSync(join(path, name), 'x');
    expect(await output('GET', `ls?${query}`)).toMatchObject([{ name, type: '-', size: '1' }]);
    expect(await output('GET', `file?${query}`)).toBe('directory');
    expect(await output('PUT', 'chmod', { path, mode: 'u=rwx,g=,o=' })).toMatchObject({ permissions: 'rwx------' });
    expect(await output('GET', `stat?${query}`)).toMatchObject({ mode: 0o40700 });
    const inner = pathQuery(join(path, name));
    expect(await output('GET', `view?${inner}`)).toBe('x');
    expect(await output('GET', `checksum?${inner}`)).toMatchObject({
      checksum: createHash('sha256').update('x').digest('hex'),
    });
    expect(await output('GET', `head?${inner}`)).toMatchObject({ content: 'x' });
    await output('DELETE', `rm?${query}`);
    expect([path, at(canary), join(alice.home, canary)].filter((each) => existsSync(each))).toEqual([]);
  });

  it.each(["600' ; touch x #", '$(id)', '600 x'])(
    'a mode %j is refused before a command is made of it',
    async (mode) => {
      expect(await statusOf('PUT', 'chmod', { path: own.path, mode })).toBe(400);
    },
  );
});

describe('defect 8: the file systems of a system bound every path, probed or not', () => {
  beforeEach(() => {
    writeFileSync(at('file'), 'x');
    symlinkSync('/etc', at('etc'));
    own.giveAway();
  });

  it.each<[string, string, string, Record<string, string>]>([
    ['a path', 'GET', 'stat', { path: '/etc/hostname' }],
    ['a relative path', 'GET', 'stat', { path: 'x' }],
    ['a path through a link', 'GET', 'view', { path: '{own}/etc/hostname' }],
    ['the place of a link', 'POST', 'symlink', { path: '{own}/file', linkPath: '/var/tmp/x' }],
    ['what a link points to', 'POST', 'symlink', { path: '/etc/hostname', linkPath: '{own}/x' }],
    ['the target of an archive', 'POST', 'compress', { path: '{own}/file', targetPath: '/var/tmp/x' }],
    ['a target through a link', 'POST', 'compress', { path: '{own}/file', targetPath: '{own}/etc/x' }],
    ['where an archive is unpacked', 'POST', 'extract', { path: '{own}/file', targetPath: '/var/tmp' }],
  ])('%s', async (_title, method, name, input) => {
    const placed = Object.entries(input).map(([field, path]): [string, string] => [
      field,
      path.replace('{own}', own.path),
    ]);
    const query = `?${new URLSearchParams(placed)}`;
    const options = method === 'GET' ? {} : { body: Object.fromEntries(placed) as unknown };
    const answer = await client.send(method, `${ops}/${name}${method === 'GET' ? query : ''}`, options);
    expect([answer.status, answer.body.message]).toEqual([
      400,
      expect.stringMatching(/absolute|does not match any of/),
    ]);
    expect(readdirSync(own.path).sort()).toEqual(['etc', 'file']);
  });
});

describe('defect 13: small files', () => {
  it('are checked by the algorithm asked for, whatever their name', async () => {
    writeFileSync(at('two words'), 'x');
    for (const [algorithm, name] of [
      ['md5', 'MD5'],
      ['sha-512', 'SHA512'],
      ['', 'SHA256'],
    ] as const) {
      expect(await output('GET', `checksum?${pathQuery(at('two words'))}&algorithm=${algorithm}`)).toEqual({
        algorithm: name,
        checksum: createHash(name).update('x').digest('hex'),
      });
    }
  });

  it('are viewed without a size also where the system allows less than the default size', async () => {
    writeFileSync(at('log'), 'y'.repeat(limitBytes));
    expect(await output('GET', `view?${pathQuery(at('log'))}`)).toHaveLength(limitBytes);
    expect(await output('GET', `view?${pathQuery(at('log'))}&size=${limitBytes}`)).toHaveLength(limitBytes);
  });

  it('are cut by bytes, not by characters, where text is not ASCII', async () => {
    writeFileSync(at('text'), 'äöü-abc');
    expect(await output('GET', `view?${pathQuery(at('text'))}&offset=7&size=2`)).toBe('ab');
  });

  it('have their own names in a listing, UTF-8 and line breaks included', async () => {
    for (const name of ['ünï', 'a\nb', '漢字']) writeFileSync(at(name), '');
    const entries = (await output('GET', `ls?${pathQuery(own.path)}`)) as { name: string }[];
    expect(entries.map(({ name }) => name).sort()).toEqual(['a\nb', 'ünï', '漢字'].sort());
  });

  it('a file that is missing is 404 for its type, too', async () => {
    expect(await statusOf('GET', `file?${pathQuery(at('none'))}`)).toBe(404);
  });
});

describe('defect 13: bytes sent and fetched', () => {
  const upload = (name: string, content: string, directory = own.path) => {
    const disposition = `Content-Disposition: form-data; name="file"; filename="${name}"`;
    const body = `--X123\r\n${disposition}\r\nContent-Type: application/octet-stream\r\n\r\n${content}\r\n--X123--\r\n`;
    const headers = { 'content-type': 'multipart/form-data; boundary=X123' };
    return client.send('POST', `${ops}/upload?${pathQuery(directory)}`, { body, headers });
  };

  it.each([0, 1, (limitBytes / 4) * 3, limitBytes])('are the same, %i of them', async (length) => {
    const content = 'z'.repeat(length);
    expect((await upload('it"s two words', content)).status).toBeLessThan(400);
    const [name = ''] = readdirSync(own.path);
    expect(readFileSync(at(name), 'utf8')).toBe(content);
    const { status, text } = await client.get(`${ops}/download?${pathQuery(at(name))}`);
    expect([status, text === content]).toEqual([200, true]);
  });

  it('of one more than the limit are 413 in both directions, at once', async () => {
    writeFileSync(at('large'), Buffer.alloc(limitBytes + 1));
    own.giveAway();
    expect((await client.get(`${ops}/download?${pathQuery(at('large'))}`)).status).toBe(413);
    expect((await upload('other', 'z'.repeat(limitBytes + 1))).status).toBe(413);
    // Answered at once; what had come of it is removed behind the answer.
    await vi.waitFor(() => expect(readdirSync(own.path)).toEqual(['large']), { timeout: 30_000 });
  });

  it.each(['../escaped', '../../escaped', '/var/tmp/goldcrest-escaped'])(
    'for a file named %s stay in the directory that was named',
    async (name) => {
      mkdirSync(at('dir'));
      own.giveAway();
      const { status } = await upload(name, 'x', at('dir'));
      const escaped = [at('escaped'), join(alice.home, 'escaped'), '/var/tmp/goldcrest-escaped'];
      expect([status < 500, escaped.filter((path) => existsSync(path))]).toEqual([true, []]);
    },
  );

  it('do not go through a link that leads out of the file systems', async () => {
    symlinkSync('/var/tmp', at('out'));
    symlinkSync('/etc/hostname', at('link'));
    own.giveAway();
    expect((await upload('x', 'x', at('out'))).status).toBe(400);
    expect((await upload('link', 'x')).status).toBe(400);
    expect((await client.get(`${ops}/download?${pathQuery(at('link'))}`)).status).toBe(400);
    expect(existsSync('/var/tmp/x')).toBe(false);
  });
});

describe('defect 17: an archive', () => {
  beforeEach(() => {
    for (const name of ['dir', 'dir/sub']) mkdirSync(at(name));
    for (const name of ['dir/a.txt', 'dir/b.log', 'dir/sub/c.txt', 'beside.txt']) writeFileSync(at(name), name);
    own.giveAway();
  });

  const list = (option: string, file: string) =>
    execFileSync('tar', [option, at(file)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .sort();

  it('by a pattern holds what matches in the directory named, not beside it', async () => {
    await output('POST', 'compress', { path: at('dir'), targetPath: at('m.tgz'), matchPattern: '.*\\.txt' });
    expect(list('-tzf', 'm.tgz')).toEqual(['./a.txt', './sub/c.txt']);
  });

  it.each([
    ['none', '-tf', [0x2e, 0x2f]],
    ['gzip', '-tzf', [0x1f, 0x8b]],
    ['bzip2', '-tjf', [0x42, 0x5a]],
    ['xz', '-tJf', [0xfd, 0x37]],
  ])('by a pattern is compressed by %s when asked to', async (compression, option, magic) => {
    await output('POST', 'compress', { path: at('dir'), targetPath: at('m'), matchPattern: '.*log', compression });
    expect([...readFileSync(at('m')).subarray(0, 2)]).toEqual(magic);
    expect(list(option, 'm')).toEqual(['./b.log']);
  });

  it('of a directory is the same with a slash behind its name', async () => {
    await output('POST', 'compress', { path: at('dir'), targetPath: at('plain.tgz') });
    await output('POST', 'compress', { path: `${at('dir')}/`, targetPath: at('slash.tgz') });
    expect(list('-tzf', 'slash.tgz')).toEqual(list('-tzf', 'plain.tgz'));
  });

  it('runs nothing that stands in its pattern or its path', async () => {
    const path = at('$(touch canary)');
    mkdirSync(path);
    own.giveAway();
    await output('POST', 'compress', { path, targetPath: at('x.tgz'), matchPattern: '$(touch canary).*' });
    expect(readdirSync(own.path).filter((name) => name === 'canary')).toEqual([]);
  });
});
