/** The file operations of FirecREST v2 through the running broker: what its clients send, and what they read. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { mountSmall } from '../chaos/small-file-system.ts';
import {
  type Answer,
  type Broker,
  type Client,
  clientOf,
  pathQuery,
  startBroker,
  taskEnd,
} from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { upstreamRoute } from './routes-fixture.ts';
import { expectedFields, wrongFields } from './schema-fields.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const bob = userNamed(lab.users, 'bob');
const ops = '/filesystem/lab/ops';

let broker: Broker;
let client: Client;
let own: OwnDirectory;
let at: (name: string) => string;

beforeAll(async () => {
  broker = await startBroker(lab, { scheduler: 'process' }); // no job is run here
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

beforeEach(() => {
  own?.remove();
  own = homeDirectory(alice);
  at = (name) => join(own.path, name);
  mkdirSync(at('dir'));
  for (const name of ['data.txt', 'dir/a.txt', 'dir/b.log']) writeFileSync(at(name), `${name}\n`, { mode: 0o644 });
  own.giveAway();
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

/** Answers exactly as upstream's schema says: no field is missing, none is of another type. */
function expectFields(method: string, name: string, body: unknown): void {
  const { answer } = upstreamRoute(`${method} /filesystem/{system_name}/ops/${name}`);
  expect(wrongFields(body, expectedFields(answer))).toEqual([]);
}

function put(name: string, body: unknown): Promise<Answer> {
  return client.send('PUT', `${ops}/${name}`, { body });
}

function post(name: string, body: unknown): Promise<Answer> {
  return client.post(`${ops}/${name}`, body);
}

const spellings = ['path', 'sourcePath', 'source_path'];

describe('success', () => {
  it.each(spellings)('chmod with %s answers the file', async (spelling) => {
    const { status, body, text } = await put('chmod', { [spelling]: at('data.txt'), mode: '600', unknown: 1 });
    expect(status, text).toBe(200);
    expectFields('PUT', 'chmod', body);
    expect(body.output).toMatchObject({ name: at('data.txt'), type: '-', linkTarget: null, permissions: 'rw-------' });
    expect(lstatSync(at('data.txt')).mode & 0o7777).toBe(0o600);
  });

  it.each<[string, Record<string, unknown>]>([
    ['nothing', {}],
    ['null, as the CLI of pyfirecrest sends it,', { owner: null, group: null }],
    ['an empty half, as the web UI sends it,', { owner: alice.username, group: '' }],
    ['both', { owner: alice.username, group: alice.username }],
  ])('chown with %s answers the file', async (_title, halves) => {
    const { status, body, text } = await put('chown', { sourcePath: at('data.txt'), ...halves });
    expect(status, text).toBe(200);
    expectFields('PUT', 'chown', body);
    expect(body.output).toMatchObject({ name: at('data.txt'), user: alice.username, group: alice.username });
  });

  it.each([true, 'true', 1, 'yes'])('mkdir with parent %j makes all, and is 201 once more', async (parent) => {
    for (let times = 0; times < 2; times += 1) {
      const { status, body, text } = await post('mkdir', { sourcePath: at('x/y/z'), parent });
      expect(status, text).toBe(201);
      expectFields('POST', 'mkdir', body);
      expect(body.output).toMatchObject({ name: at('x/y/z'), type: 'd', linkTarget: null, permissions: 'rwxr-xr-x' });
    }
  });

  it.each(['linkPath', 'link_path'])('symlink with %s answers the link', async (spelling) => {
    const { status, body, text } = await post('symlink', { source_path: at('data.txt'), [spelling]: at('link') });
    expect(status, text).toBe(201);
    expectFields('POST', 'symlink', body);
    expect(body.output).toMatchObject({ name: at('link'), type: 'l', linkTarget: at('data.txt') });
    expect(readlinkSync(at('link'))).toBe(at('data.txt'));
  });

  it.each(['data.txt', 'dir'])('rm of %s is 204 without a body', async (name) => {
    const { status, text } = await client.delete(`${ops}/rm?${pathQuery(at(name))}`);
    expect([status, text]).toEqual([204, '']);
    expect(existsSync(at(name))).toBe(false);
  });

  it.each([
    ['', 'sha256', 'SHA256'],
    ['&algorithm=', 'sha256', 'SHA256'],
    ['&algorithm=sha-512', 'sha512', 'SHA512'],
    ['&algorithm=md5', 'md5', 'MD5'],
  ])('checksum%s', async (query, hash, algorithm) => {
    const { status, body, text } = await client.get(`${ops}/checksum?${pathQuery(at('data.txt'))}${query}`);
    expect(status, text).toBe(200);
    expectFields('GET', 'checksum', body);
    expect(body.output).toEqual({ algorithm, checksum: createHash(hash).update('data.txt\n').digest('hex') });
  });

  it.each([
    ['data.txt', 'ASCII text'],
    ['dir', 'directory'],
  ])('file of %s is %s', async (name, wanted) => {
    const { status, body } = await client.get(`${ops}/file?${pathQuery(at(name))}`);
    expect(status).toBe(200);
    expectFields('GET', 'file', body);
    expect(body).toEqual({ output: wanted });
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['pyfirecrest’s nulls', { match_pattern: null, compression: null, dereference: false }, ['dir/a.txt', 'dir/b.log']],
    ['xz', { compression: 'xz' }, ['dir/a.txt', 'dir/b.log']],
    ['no compression and a pattern', { compression: 'none', matchPattern: './[ab].*\\.txt' }, ['a.txt']],
  ])('compress and extract with %s are 204 without a body', async (_title, options, files) => {
    const packed = await post('compress', { source_path: at('dir'), target_path: at('t.tar'), ...options });
    expect([packed.status, packed.text]).toEqual([204, '']);
    mkdirSync(at('out'));
    own.giveAway();
    const { compression = null } = options;
    const unpacked = await post('extract', {
      sourcePath: at('t.tar'),
      targetPath: at('out'),
      ...(compression === null ? {} : { compression }),
    });
    expect([unpacked.status, unpacked.text]).toEqual([204, '']);
    const found = readdirSync(at('out'), { recursive: true, withFileTypes: true, encoding: 'utf8' });
    const paths = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(paths.sort()).toEqual(files.map((file) => at(`out/${file}`)));
    expect(readFileSync(at(`out/${files[0]}`), 'utf8')).toBe('dir/a.txt\n');
    expect(readdirSync(own.path).sort()).toEqual(['data.txt', 'dir', 'out', 't.tar']);
  });
});

describe('errors that clients read', () => {
  const none = `${alice.home}/goldcrest-none`;
  it.each<[string, string, string, Record<string, unknown> | undefined, number, RegExp]>([
    ['chmod of nothing', 'PUT', 'chmod', { path: none, mode: '600' }, 404, /No such file or directory/],
    ['chmod to no mode', 'PUT', 'chmod', { path: '/tmp', mode: 'bogus' }, 400, /mode/],
    ['chmod with a command', 'PUT', 'chmod', { path: '/tmp', mode: "600' ; id #" }, 400, /mode/],
    [
      'chmod of another’s',
      'PUT',
      'chmod',
      { path: '/tmp', mode: '600' },
      403,
      /Permission denied|Operation not permitted/,
    ],
    ['chmod without path', 'PUT', 'chmod', { mode: '600' }, 400, /path/],
    ['chmod of null', 'PUT', 'chmod', { path: null, mode: '600' }, 400, /path/],
    ['chown to nobody known', 'PUT', 'chown', { path: alice.home, owner: 'nosuch' }, 400, /invalid user/],
    ['chown to no group', 'PUT', 'chown', { path: alice.home, group: 'nosuch' }, 400, /invalid group/],
    ['chown to root', 'PUT', 'chown', { path: alice.home, owner: 'root' }, 403, /Operation not permitted/],
    ['mkdir of what exists', 'POST', 'mkdir', { path: alice.home }, 400, /File exists/],
    ['mkdir without parents', 'POST', 'mkdir', { path: `${none}/x` }, 404, /No such file or directory/],
    ['mkdir in another’s', 'POST', 'mkdir', { path: `${bob.home}/x` }, 403, /Permission denied/],
    [
      'symlink to elsewhere',
      'POST',
      'symlink',
      { path: '/etc/passwd', linkPath: none },
      400,
      /\/etc\/passwd\) does not match/,
    ],
    ['symlink elsewhere', 'POST', 'symlink', { path: none, linkPath: '/etc/x' }, 400, /\/etc\/x\) does not match/],
    ['symlink over a file', 'POST', 'symlink', { path: none, linkPath: alice.home }, 400, /File exists/],
    [
      'rm of nothing',
      'DELETE',
      `rm?${pathQuery(none)}`,
      undefined,
      404,
      /rm: cannot remove .*No such file or directory/,
    ],
    ['rm of a file system', 'DELETE', `rm?${pathQuery('/tmp')}`, undefined, 400, /refusing to remove/],
    ['rm of another’s', 'DELETE', `rm?${pathQuery(`${bob.home}/x`)}`, undefined, 403, /Permission denied/],
    ['checksum of nothing', 'GET', `checksum?${pathQuery(none)}`, undefined, 404, /No such file or directory/],
    ['checksum of a directory', 'GET', `checksum?${pathQuery('/tmp')}`, undefined, 400, /not a regular file/],
    [
      'checksum by no algorithm',
      'GET',
      `checksum?${pathQuery('/tmp')}&algorithm=crc`,
      undefined,
      400,
      /must be one of MD5/,
    ],
    ['file of nothing', 'GET', `file?${pathQuery(none)}`, undefined, 404, /No such file or directory/],
    [
      'file with a command',
      'GET',
      `file?${pathQuery(`${none}'; id; echo '`)}`,
      undefined,
      404,
      /No such file or directory/,
    ],
    [
      'compress of nothing',
      'POST',
      'compress',
      { path: none, targetPath: `${none}.tgz` },
      404,
      /No such file or directory/,
    ],
    [
      'compress elsewhere',
      'POST',
      'compress',
      { path: alice.home, targetPath: '/etc/x' },
      400,
      /\/etc\/x\) does not match/,
    ],
    ['extract of nothing', 'POST', 'extract', { path: none, targetPath: alice.home }, 404, /No such file or directory/],
    ['extract elsewhere', 'POST', 'extract', { path: none, targetPath: '/etc' }, 400, /\/etc\) does not match/],
    [
      'no such compression',
      'POST',
      'extract',
      { path: none, targetPath: alice.home, compression: 'zip' },
      400,
      /must be one of none/,
    ],
  ])('%s', async (_title, method, path, body, status, message) => {
    const answer = await client.send(method, `${ops}/${path}`, body === undefined ? {} : { body });
    expect(answer.status, answer.text).toBe(status);
    expect(answer.body.message).toMatch(message);
    expect(answer.body).toMatchObject({ causedBy: null, user: alice.username, status, detail: answer.body.message });
  });

  it('extract of what is no archive is 400, into what is no directory 404', async () => {
    const bad = await post('extract', { path: at('data.txt'), targetPath: at('dir') });
    expect([bad.status, bad.body.message]).toEqual([400, expect.stringMatching(/not in gzip format/)]);
    const missing = await post('extract', { path: at('data.txt'), targetPath: at('nodir') });
    expect([missing.status, missing.body.message]).toEqual([404, expect.stringMatching(/No such file or directory/)]);
  });
});

describe('what the file system does not take is told as it is, though SFTP says "failure" and "bad message" of it', () => {
  const upload = (directory: string): Promise<Answer> => {
    const form = new FormData();
    form.append('file', new Blob(['x'.repeat(100_000)]), 'new');
    return client.post(`${ops}/upload?${pathQuery(directory)}`, form);
  };
  const told = ({ status, body }: Answer) => [status, body.code, /[^:]*$/.exec(body.message)?.[0].trim()];

  it('a name that is too long', async () => {
    const path = at('n'.repeat(256));
    const reads = ['stat', 'ls', 'view', 'download', 'checksum'].map((name) =>
      client.get(`${ops}/${name}?${pathQuery(path)}`),
    );
    const changes = [post('mkdir', { path }), post('symlink', { path: at('dir'), linkPath: path })];
    for (const answer of await Promise.all([...reads, ...changes])) {
      expect(told(answer)).toEqual([400, 'InvalidRequest', expect.stringMatching(/^File name too long/)]);
    }
  });

  it('a path through links that lead nowhere but to themselves', async () => {
    symlinkSync('a', at('b'));
    symlinkSync('b', at('a'));
    const path = at('a/x');
    const reads = ['stat', 'view', 'checksum'].map((name) => client.get(`${ops}/${name}?${pathQuery(path)}`));
    for (const answer of await Promise.all([...reads, put('chown', { path, owner: alice.username })])) {
      expect([answer.status, answer.body.code], answer.text).toEqual([404, 'FileNotFound']);
    }
  });

  it('a file system without room, and one that is only read', async () => {
    const small = await mountSmall(at('small'), 64 * 1_024, alice);
    try {
      expect(told(await upload(small.path))).toEqual([500, 'RemoteCommandFailed', 'No space left on device']);
      expect(readdirSync(small.path)).toEqual([]);
      writeFileSync(join(small.path, 'there'), 'x');
      await runCommand('mount', ['-o', 'remount,ro', small.path]);
      const path = join(small.path, 'new');
      const there = pathQuery(join(small.path, 'there'));
      const refused = [
        await upload(small.path),
        await post('mkdir', { path }),
        await post('symlink', { path: at('dir'), linkPath: path }),
        await client.delete(`${ops}/rm?${there}`),
      ];
      for (const answer of refused) expect(told(answer)).toEqual([403, 'PermissionDenied', 'Read-only file system']);
    } finally {
      await small.remove();
    }
  });
});

it('a mutation is a task when asked for, and a repeated key finds it', async () => {
  const headers = { prefer: 'respond-async', 'idempotency-key': at('key') };
  const body = { path: at('once') };
  const first = await client.post(`${ops}/mkdir`, body, { headers });
  expect(first.status, first.text).toBe(202);
  expect(await taskEnd(client, `/tasks/${first.body.id}`)).toMatchObject({
    state: 'completed',
    result: { entry: { name: at('once'), type: 'd' } },
  });
  const again = await client.post(`${ops}/mkdir`, body, { headers: { 'idempotency-key': at('key') } });
  expect([again.status, again.body.output]).toEqual([201, expect.objectContaining({ name: at('once') })]);
});
