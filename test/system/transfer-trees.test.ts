/** Trees to the cluster and from it, through a real S3 store and a real sshd. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { runCommand } from '../../lab/run-command.ts';
import { type Client, taskEnd } from './broker-fixture.ts';
import { hostileNames } from './hostile-names.ts';
import { openGroundOfTwo, type StagingGround } from './staging-ground.ts';
import {
  type ArchiveEntry,
  addressesOf,
  archiveOf,
  giveTree,
  makeTree,
  seenTree,
  sendArchive,
} from './tree-fixture.ts';

const lab = inject('lab');
let ground: StagingGround;
let client: Client;

beforeAll(async () => {
  ground = await openGroundOfTwo(lab);
  client = ground.client;
});

afterEach(() => ground.expectNothingLeft());

afterAll(() => ground?.stop());

const at = (name: string): string => ground.at(name);
const run = (operation: string, input: Record<string, unknown>) => ground.run(operation, input);

/** Every hostile name as a file, a directory and a link, with modes and times of their own. */
function hostileTree(name: string): string {
  const root = makeTree(at(name), ground.owner, {});
  Object.values(hostileNames('touch goldcrest-was-here')).forEach((hostile, number) => {
    mkdirSync(join(root, hostile));
    const file = join(root, hostile, hostile);
    writeFileSync(file, randomBytes(number * 50));
    chmodSync(file, [0o600, 0o755, 0o640, 0o444][number % 4] ?? 0o600);
    utimesSync(file, 1_000_000_000 + number + 0.25, 1_000_000_000 + number + 0.25);
    symlinkSync(hostile, join(root, hostile, 'link'));
    chmodSync(join(root, hostile), number % 2 === 0 ? 0o750 : 0o555);
    utimesSync(join(root, hostile), 1_100_000_000, 1_100_000_000 + number);
  });
  writeFileSync(Buffer.from(`${root}/no-utf8-\xff\xfe`, 'latin1'), 'x');
  mkdirSync(join(root, 'deep', 'd'.repeat(200), 'e'.repeat(200)), { recursive: true });
  symlinkSync('/etc/passwd', join(root, 'absolute link'));
  symlinkSync('../../goldcrest-none', join(root, 'link up'));
  symlinkSync('t'.repeat(300), join(root, 'long link'));
  giveTree(root, ground.owner);
  return root;
}

function packed(root: string): Buffer {
  const options = ['--create', '--format=posix', '--pax-option=exthdr.name=%d/PaxHeaders/%f', '--directory', root];
  return execFileSync('tar', [...options, '.'], { maxBuffer: 2 ** 28 });
}

async function downloaded(location: string): Promise<Buffer> {
  const { downloadUrl } = await addressesOf(client, location);
  return Buffer.from(await (await fetch(String(downloadUrl))).arrayBuffer());
}

describe('a tree', () => {
  it('comes and goes with names, modes, times and links as they were', async () => {
    const root = hostileTree('hostile');
    const end = await run('transfer.download-tree', { path: root });
    expect(end, JSON.stringify(end.error)).toMatchObject({ state: 'completed' });
    const archive = await downloaded(`/tasks/${end.id}`);
    const sha256 = createHash('sha256').update(archive).digest('hex');
    expect(end.result).toMatchObject({ bytes: archive.length, sha256, failuresCount: 0 });
    const unpackedHere = makeTree(at('by tar'), ground.owner, {});
    execFileSync('tar', ['--extract', '--preserve-permissions', '--directory', unpackedHere], { input: archive });
    expect(seenTree(unpackedHere)).toEqual(seenTree(root));

    for (const [title, sent] of [
      ['own archive', archive],
      ["tar's archive", packed(root)],
    ] as const) {
      const up = await taskEnd(
        client,
        await sendArchive(client, { path: at(title), sha256: createHash('sha256').update(sent).digest('hex') }, sent),
      );
      expect(up, JSON.stringify(up.error)).toMatchObject({ state: 'completed', result: { failuresCount: 0 } });
      expect(seenTree(at(title))).toEqual(seenTree(root));
      expect(await ground.stagedOf(up.id)).toEqual([]);
    }
  });
});

describe('filters', () => {
  const files = { 'a.txt': 'a', 'b.log': 'b', 'sub/c.txt': 'c', 'sub/build/d.txt': 'd', 'build/e.txt': 'e' };
  it.concurrent.each([
    [{ exclude: ['*.log', '/build'] }, ['a.txt', 'sub/build/d.txt', 'sub/c.txt']],
    [{ include: ['*.txt'], exclude: ['build'] }, ['a.txt', 'sub/c.txt']],
    [{ include: ['sub/**/d.txt', 'build'] }, ['build/e.txt', 'sub/build/d.txt']],
  ])('%j choose %j, packing and unpacking alike', async (filters, wanted) => {
    const root = makeTree(at(`filtered ${JSON.stringify(filters)}`.replaceAll('/', '|')), ground.owner, files);
    const end = await run('transfer.download-tree', { path: root, ...filters });
    const archive = await downloaded(`/tasks/${end.id}`);
    const listed = execFileSync('tar', ['--list'], { input: archive, encoding: 'utf8' }).split('\n');
    expect(listed.filter((name) => /[^/]$/.test(name)).sort()).toEqual(wanted);
    const target = `${root} there`;
    const up = await taskEnd(client, await sendArchive(client, { path: target, ...filters }, packed(root)));
    expect(up.state, JSON.stringify(up.error)).toBe('completed');
    const seen = Object.entries(seenTree(target)).filter(([, what]) => !what.endsWith('directory'));
    expect(seen.map(([name]) => name).sort()).toEqual(wanted);
  });

  it.each([
    [{ include: ['****a*b*c*d*e*f*g*h*i'] }, /include.*at most 8 stars/],
    [{ exclude: ['a'.repeat(300)] }, /exclude.*at most 256 bytes/],
    [{ exclude: Array.from({ length: 51 }, () => 'a') }, /exclude.*at most 50 patterns/],
    [{ exclude: ['/'] }, /exclude.*must not be empty/],
  ])('%j are refused', async (filters, message) => {
    const input = { path: at('x'), ...filters };
    const { status, body } = await client.post('/tasks', { operation: 'transfer.download-tree', system: 'lab', input });
    expect([status, body.message]).toEqual([400, expect.stringMatching(message)]);
  });
});

describe('an archive that means harm', () => {
  const harmful: [string, ArchiveEntry[], RegExp][] = [
    ['an absolute name', [{ name: '/tmp/goldcrest-escaped' }], /the name is absolute/],
    ['a name that leads out', [{ name: 'a/../../escaped' }], /the name holds \.\./],
    [
      'a link to write through',
      [{ name: 'out', type: '2', link: '/tmp' }, { name: 'out/goldcrest-escaped' }],
      /File exists/,
    ],
    ['a link up to write through', [{ name: 'up', type: '2', link: '..' }, { name: 'up/escaped' }], /File exists/],
    ['a hard link out', [{ name: 'out', type: '1', link: '/etc/passwd' }], /hard link whose target is absolute/],
    [
      'a hard link through a link',
      [
        { name: 'up', type: '2', link: '..' },
        { name: 'in', type: '1', link: 'up/secret' },
      ],
      /not in the archive/,
    ],
    [
      'a hard link to a link',
      [
        { name: 'l', type: '2', link: '/etc/passwd' },
        { name: 'h', type: '1', link: 'l' },
      ],
      /not in the archive/,
    ],
    ['a device', [{ name: 'null', type: '3' }], /device or a pipe/],
    ['a pipe', [{ name: 'pipe', type: '6' }], /device or a pipe/],
  ];
  const broken: [string, Buffer, RegExp][] = [
    ['noise', randomBytes(2_048), /the archive is damaged/],
    ['half an archive', archiveOf([{ name: 'x', content: 'y'.repeat(5_000) }]).subarray(0, 3_000), /ends too early/],
    ['no bytes', Buffer.alloc(0), /ends too early/],
    [
      'a header beyond all bounds',
      archiveOf([{ name: 'x', type: 'L', content: 'y'.repeat(1_100_000) }]),
      /header is too long/,
    ],
  ];

  it('is put nowhere when its target leads out of the file systems by the time it has come', async () => {
    const outside = makeTree(mkdtempSync('/var/tmp/goldcrest-test-'), ground.owner, {});
    try {
      makeTree(at('moving'), ground.owner, {});
      const archive = archiveOf([{ name: 'good', content: 'x' }]);
      const location = await sendArchive(client, { path: at('moving/new') }, archive, 'lab', () => {
        renameSync(at('moving'), at('moved'));
        symlinkSync(outside, at('moving'));
      });
      const end = await taskEnd(client, location);
      expect([end.state, end.error.code, readdirSync(outside)]).toEqual(['failed', 'PathNotAllowed', []]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it('puts nothing anywhere, and is told why', async () => {
    writeFileSync(at('secret'), 'secret');
    const unpackable = harmful.map(([title, entries, message]): [string, Buffer, RegExp] => [
      title,
      archiveOf([{ name: 'good', content: 'x' }, ...entries]),
      message,
    ]);
    const ends = [...unpackable, ...broken].map(async ([title, archive, message]) => {
      const target = at(`harmed by ${title}`);
      const end = await taskEnd(client, await sendArchive(client, { path: target }, archive));
      expect([title, end.state, end.error?.message]).toEqual([title, 'failed', expect.stringMatching(message)]);
      expect([title, existsSync(target)]).toEqual([title, false]);
      expect(await ground.stagedOf(end.id)).toEqual([]);
    });
    await Promise.all(ends);
    expect([existsSync('/tmp/goldcrest-escaped'), existsSync(at('escaped'))]).toEqual([false, false]);
  });

  it('that does not add up to the digest announced is not put in place', async () => {
    const archive = archiveOf([{ name: 'x', content: 'y' }]);
    const end = await taskEnd(
      client,
      await sendArchive(client, { path: at('digest'), sha256: '0'.repeat(64) }, archive),
    );
    expect(end.error?.message).toMatch(/the archive has the SHA-256 .*, not 0000/);
    expect(existsSync(at('digest'))).toBe(false);
  });

  it('leaves failing entries out where that is wished, and tells of them', async () => {
    const entries = [{ name: 'good', content: 'x' }, { name: '../bad\nname' }, { name: 'last', content: 'z' }];
    const location = await sendArchive(client, { path: at('partly'), skipFailures: true }, archiveOf(entries));
    const end = await taskEnd(client, location);
    expect(end.result, JSON.stringify(end.error)).toMatchObject({
      files: 2,
      failuresCount: 1,
      failures: [{ path: '../bad\nname', reason: 'the name holds ..' }],
    });
    expect(readdirSync(at('partly')).sort()).toEqual(['good', 'last']);
  });
});

it('the lines of docs/transfers.md do what the page says', async () => {
  const page = readFileSync(new URL('../../docs/transfers.md', import.meta.url), 'utf8');
  const script = [...page.matchAll(/```bash\n(.*?)```/gs)].map(([, lines]) => lines).join('\n');
  const here = mkdtempSync(join(tmpdir(), 'gc-transfers-'));
  mkdirSync(join(here, 'results', 'sub'), { recursive: true });
  for (const name of ['a', 'sub/b', 'sub/c.log']) writeFileSync(join(here, 'results', name), name);
  writeFileSync(join(here, 'big.bin'), randomBytes(17 * 2 ** 20 + 7));
  const place = at('documented');
  mkdirSync(place);
  giveTree(place, ground.owner);
  const env = {
    URL: ground.broker.url,
    TOKEN: await requestToken(lab.oidc, 'alice'),
    SYSTEM: 'lab',
    OTHER: 'other',
  };
  const said = await runCommand('bash', ['-euo', 'pipefail', '-c', `cd "$HERE"; ${script}`], {
    env: { ...env, HOME_THERE: place, HERE: here },
  });
  expect(said.stdout.match(/"result":\{"path"/g)).toHaveLength(5);
  expect(readFileSync(join(here, 'big.again')).equals(readFileSync(join(place, 'big.bin')))).toBe(true);
  expect(existsSync(join(here, 'etag.3'))).toBe(true);
  const names = (root: string) => readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  for (const root of [join(place, 'results'), join(here, 'fetched'), join(place, 'copy')]) {
    expect(names(root)).toEqual(['a', 'sub', 'sub/b']);
  }
  rmSync(here, { recursive: true });
});

describe('a target that is there', () => {
  it('is refused, and with `merge` keeps what the archive has not', async () => {
    const target = makeTree(at('there'), ground.owner, { kept: 'kept', 'sub/old': 'old', file: 'file' });
    const archive = archiveOf([
      { name: 'sub/old', content: 'new' },
      { name: 'sub/more/x', content: 'x' },
    ]);
    const refused = await run('transfer.upload-tree', { path: target, archiveBytesMax: 1 });
    expect(refused.error?.message).toMatch(/File exists\. With `merge`/);
    const end = await taskEnd(client, await sendArchive(client, { path: `${target}/`, merge: true }, archive));
    expect(end.result, JSON.stringify(end.error)).toMatchObject({ copied: { entries: 2, bytes: 4 } });
    const names = ['kept', 'sub/old', 'sub/more/x', 'file'];
    expect(names.map((name) => readFileSync(join(target, name), 'utf8'))).toEqual(['kept', 'new', 'x', 'file']);
  });

  it.concurrent.each(['size', 'mtime', 'checksum'] as const)(
    'with `sync` by %s keeps what is the same',
    async (sync) => {
      const files = { same: 'same', size: 's', text: 'xyz', time: 'abc' };
      const target = makeTree(at(`synced by ${sync}`), ground.owner, files);
      for (const name of Object.keys(files)) utimesSync(join(target, name), 1e9, name === 'time' ? 2e9 : 1e9);
      const sent = { same: 'same', size: 'long', text: 'abc', time: 'abc' };
      const archive = archiveOf(Object.entries(sent).map(([name, content]) => ({ name, content })));
      const end = await taskEnd(client, await sendArchive(client, { path: target, merge: true, sync }, archive));
      const differ = { size: ['size'], mtime: ['size', 'time'], checksum: ['size', 'text'] }[sync];
      expect(end.result, JSON.stringify(end.error)).toMatchObject({
        copiedPaths: differ,
        skipped: { entries: 4 - differ.length },
      });
      expect(readFileSync(join(target, 'text'), 'utf8')).toBe(sync === 'checksum' ? 'abc' : 'xyz');
    },
  );

  it('is not written to through a link in it', async () => {
    const outside = makeTree(at('outside'), ground.owner, { x: 'untouched' });
    const target = makeTree(at('linked'), ground.owner, {});
    symlinkSync(outside, join(target, 'sub'));
    const location = await sendArchive(
      client,
      { path: target, merge: true },
      archiveOf([{ name: 'sub/x', content: 'bad' }]),
    );
    expect((await taskEnd(client, location)).error?.message).toMatch(/'sub' \(is no directory where it should go\)/);
    expect(readFileSync(join(outside, 'x'), 'utf8')).toBe('untouched');
  });
});
