/** Where a request may reach on a real login node when links lead elsewhere: every operation that names a path. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { OperationName } from '../../shared/operations/registry.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import type { SharedJobs } from '../../workers/operations/operation-context.ts';
import { type InternalPort, openInternalPort } from '../../workers/runtime/internal-port.ts';
import { createPerform } from '../../workers/runtime/perform.ts';
import type { Attempt } from '../../workers/runtime/task-runner.ts';
import type { SchedulerAdapter } from '../../workers/schedulers/scheduler.ts';
import { createInProcessHandshakeLimiter } from '../../workers/ssh/handshake-limiter.ts';
import { realLocation } from '../../workers/ssh/real-location.ts';
import { createSsh, type Ssh } from '../../workers/ssh/ssh.ts';
import type { JobWatches } from '../../workers/watches/begin-watch.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { makeLinks } from './linked-directory.ts';
import { labUserCa, silent, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');

const dataOperation = { maxOpsFileSizeBytes: 1_024 };
const transfers = { node: null, unpackBytesMax: 1_000_000, unpackEntriesMax: 100 };

let ssh: Ssh;
let port: InternalPort;
let own: OwnDirectory;
let at: (name: string) => string;
let run: (name: OperationName, input: Record<string, unknown>, claimed?: Promise<void>) => Promise<unknown>;
/** Is told the address at which the bytes of an operation are to be fetched. */
let told: (url: string) => void;
/** Programs of the commands that were run, but for the broker's own that stay for those that follow. */
let commands: string[];

beforeAll(async () => {
  ssh = createSsh({
    systems: [systemOptions(lab.sshd)],
    credentials: () => labUserCa(lab),
    handshakes: createInProcessHandshakeLimiter(8),
    log: silent,
    observe: ({ argv, isLasting }) => {
      if (!isLasting) commands.push(String(argv[0]));
      return () => undefined;
    },
  });
  port = await openInternalPort({ host: '127.0.0.1', port: 0, url: null, log: silent });
});

beforeEach(() => {
  own = homeDirectory(alice);
  at = (name) => join(own.path, name);
  makeLinks(at);
  own.giveAway();
  chmodSync(at('outside/closed'), 0);
  const fileSystems = ['plain', 'linked', 'none'].map((name) => ({ path: at(name) }));
  const perform = createPerform({
    checkPaths: null,
    // Nothing else of a system is looked at.
    systems: [{ name: 'lab', fileSystems, dataOperation, transfers } as unknown as SystemConfig],
    ssh,
    schedulers: new Map([['lab', {} as SchedulerAdapter]]),
    readHealth: async () => new Map(),
    port,
    tell: async (_task, url) => {
      told(url);
      return 0;
    },
    stagings: new Map(),
    sharedJobs: () => ({}) as SharedJobs,
    watchesOf: () => ({}) as JobWatches,
    logs: { streamsPerUserMax: 1, followMsMax: 1, intervalMs: 1, bytesMax: 1 },
    log: silent,
  });
  told = () => undefined;
  commands = [];
  run = async (name, input, claimed = Promise.resolve()) => {
    const operation = findOperation(name) ?? expect.unreachable(name);
    const parsed = operation.input.parse(input);
    const principal = { username: alice.username };
    const attempt = {
      task: { id: 'test', attempt: 1, system: 'lab', chain: null, principal, input: parsed },
      ...{ input: parsed, signal: new AbortController().signal, log: silent },
      journal: { entry: null },
      claimed,
    };
    return await perform(operation, attempt as unknown as Attempt);
  };
});

afterEach(() => {
  vi.useRealTimers();
  own.remove();
});

afterAll(async () => {
  await port?.close();
  await ssh?.close();
});

const refused = (path: string) => ({
  code: 'PathNotAllowed',
  message: `The provided path (${path}) does not match any of the defined filesystem paths for the requested system (lab). Its name does, but a symbolic link on the way leads out of them.`,
});

const reads = [
  'filesystem.stat',
  'filesystem.ls',
  'filesystem.head',
  'filesystem.tail',
  'filesystem.view',
  'filesystem.download',
  'filesystem.checksum',
  'filesystem.file',
] as const;

/** A request of every operation that names a path, with that path where it says so. */
const requests: [OperationName, string, (path: string) => Record<string, unknown>][] = [
  ...reads.map((name): (typeof requests)[number] => [name, 'path', (path) => ({ path })]),
  ['filesystem.chmod', 'path', (path) => ({ path, mode: '777' })],
  ['filesystem.chown', 'path', (path) => ({ path, group: alice.username })],
  ['filesystem.mkdir', 'path', (path) => ({ path })],
  ['filesystem.mkdir', 'path, with parents', (path) => ({ path, parent: true })],
  ['filesystem.rm', 'path', (path) => ({ path })],
  ['filesystem.upload', 'path', (path) => ({ path, fileName: 'new' })],
  ['filesystem.symlink', 'path', (path) => ({ path, linkPath: at('plain/new') })],
  ['filesystem.symlink', 'linkPath', (linkPath) => ({ path: at('plain/file'), linkPath })],
  ['filesystem.compress', 'path', (path) => ({ path, targetPath: at('plain/new') })],
  ['filesystem.compress', 'targetPath', (targetPath) => ({ path: at('plain/file'), targetPath })],
  ['filesystem.extract', 'path', (path) => ({ path, targetPath: at('plain/dir') })],
  ['filesystem.extract', 'targetPath', (targetPath) => ({ path: at('plain/file'), targetPath })],
];

describe.each(requests)('%s by %s', (name, _field, input) => {
  it.each([
    ['a link', 'plain/out/secret'],
    ['an absolute link', 'plain/absolute/secret'],
    ['a link to a link', 'plain/second/secret'],
    ['a link up and down again', 'plain/up/outside/secret'],
    ['a link, to what is not there', 'plain/out/none'],
    ['a link, to what is not there nor its directory', 'plain/out/none/none'],
    ['a link, to what may not be looked at', 'plain/out/closed/secret'],
    ['a link, to a file as if it were a directory', 'plain/out/secret/none'],
    ['a link to what is not there', 'plain/deep-none/none'],
  ])('does not reach out of the file systems by %s, and changes nothing there', async (_title, path) => {
    await expect(run(name, input(at(path)))).rejects.toMatchObject(refused(at(path)));
    expect(readdirSync(at('outside')).sort()).toEqual(['closed', 'secret']);
    expect(readFileSync(at('outside/secret'), 'utf8')).toBe('outside/secret');
    expect(statSync(at('outside/secret')).mode & 0o777).toBe(0o640);
    expect(existsSync(at('plain/new'))).toBe(false);
  });
});

/** Those that act on what a link leads to. */
const following = requests.filter(
  ([name, field]) =>
    !['filesystem.rm', 'filesystem.file'].includes(name) &&
    !['linkPath', 'filesystem.compress targetPath'].includes(field.startsWith('target') ? `${name} ${field}` : field),
);

describe.each(following)('%s by %s follows', (name, _field, input) => {
  it.each([
    ['a link', 'plain/secret'],
    ['a link to what is not there', 'plain/dangling'],
    ['a link to what may not be looked at', 'plain/closed'],
  ])('%s as the last name, and is refused', async (_title, path) => {
    const request = { dereference: true, ...input(at(path)) };
    await expect(run(name, request)).rejects.toMatchObject(refused(at(path)));
    expect(readdirSync(at('outside')).sort()).toEqual(['closed', 'secret']);
    expect(statSync(at('outside/secret')).mode & 0o777).toBe(0o640);
  });
});

describe('what goes on while the paths are looked at', () => {
  it('sends a client not a byte of a file outside', async () => {
    const fetched: Promise<Response>[] = [];
    told = (url) => fetched.push(fetch(url));
    await expect(run('filesystem.download', { path: at('plain/secret') })).rejects.toMatchObject({
      code: 'PathNotAllowed',
    });
    const [answer] = await Promise.all(fetched);
    expect([404, 409]).toContain(answer?.status); // the address may be closed before anybody comes
    expect(await answer?.text()).toBe('');
  });

  it.each(['filesystem.checksum', 'filesystem.file'] as const)(
    'runs no command of %s for a file outside',
    async (name) => {
      const inside = await run(name, { path: at('plain/file') });
      expect(inside).toBeTruthy();
      expect(commands.splice(0)).toHaveLength(1);
      await expect(run(name, { path: at('plain/out/secret') })).rejects.toMatchObject({ code: 'PathNotAllowed' });
      expect(commands).toEqual([]);
    },
  );

  it('asks for no process of the host where SFTP and the lstat loop will do', async () => {
    const path = at('plain/file');
    const round = async (n: number): Promise<void> => {
      await run('filesystem.ls', { path: at('plain') });
      await run('filesystem.ls', { path: at('plain'), recursive: true, showHidden: true });
      for (const dereference of [false, true]) await run('filesystem.stat', { path, dereference });
      for (const name of ['head', 'tail', 'view'] as const) await run(`filesystem.${name}`, { path });
      await run('filesystem.mkdir', { path: at(`plain/new-${n}/below`), parent: true });
      await run('filesystem.symlink', { path, linkPath: at(`plain/link-${n}`) });
      await run('filesystem.chmod', { path, mode: '600' });
      await run('filesystem.rm', { path: at(`plain/link-${n}`) });
    };
    await round(1); // the names of owners and the time zone are asked for once
    commands.splice(0);
    await round(2);
    expect(commands).toEqual([]);
  });

  it('changes nothing before the task is claimed, nor where another worker has claimed it', async () => {
    const mode = (): number => statSync(at('plain/file')).mode & 0o777;
    let claim = (): void => undefined;
    const claimed = new Promise<void>((resolve) => {
      claim = resolve;
    });
    const changing = run('filesystem.chmod', { path: at('plain/file'), mode: '600' }, claimed);
    await run('filesystem.stat', { path: at('plain/file') }); // as much time as the look takes
    expect(mode()).toBe(0o640);
    claim();
    await changing;
    expect(mode()).toBe(0o600);
    const lost = new BrokerError('WorkerLost', 'Another worker has taken the task over.');
    const refusal = run('filesystem.chmod', { path: at('plain/file'), mode: '640' }, Promise.reject(lost));
    await expect(refusal).rejects.toBe(lost);
    expect(mode()).toBe(0o600);
  });
});

describe('a link itself', () => {
  it('is shown, not what it leads to', async () => {
    expect(await run('filesystem.stat', { path: at('plain/out') })).toMatchObject({
      ino: lstatSync(at('plain/out')).ino,
    });
    expect(await run('filesystem.ls', { path: at('plain/out') })).toMatchObject({
      entries: [{ type: 'l', linkTarget: '../outside' }],
    });
    expect(await run('filesystem.file', { path: at('plain/out') })).toEqual({
      description: 'symbolic link to ../outside',
    });
  });

  it.each(['filesystem.stat', 'filesystem.ls'] as const)('with a slash behind it %s follows it', async (name) => {
    const path = `${at('plain/out')}/`;
    await expect(run(name, { path })).rejects.toMatchObject(refused(path));
    await expect(run(name, { path: at('plain/out'), dereference: true })).rejects.toMatchObject({
      code: 'PathNotAllowed',
    });
  });

  it('is removed, and what it leads to stays', async () => {
    await run('filesystem.rm', { path: at('plain/out') });
    expect([existsSync(at('plain/out')), existsSync(at('outside/secret'))]).toEqual([false, true]);
  });

  it('is packed as a link, but is not gone into', async () => {
    await run('filesystem.compress', { path: at('plain/secret'), targetPath: at('plain/link.tgz') });
    await run('filesystem.extract', { path: at('plain/link.tgz'), targetPath: at('plain/dir') });
    expect(readlinkSync(at('plain/dir/secret'))).toBe('../outside/secret');
    const pattern = { path: at('plain/out'), targetPath: at('plain/new'), matchPattern: '.*' };
    await expect(run('filesystem.compress', pattern)).rejects.toMatchObject(refused(at('plain/out')));
  });

  it('is replaced where an archive takes its name', async () => {
    await run('filesystem.compress', { path: at('plain/file'), targetPath: at('plain/secret') });
    expect(lstatSync(at('plain/secret')).isFile()).toBe(true);
    expect(readFileSync(at('outside/secret'), 'utf8')).toBe('outside/secret');
  });
});

describe('inside the file systems', () => {
  it.each(['plain/inside', 'linked/file', 'plain/linked/file', 'plain/real/file', 'plain/up/plain/file'])(
    '%s is reached',
    async (path) => {
      const { ino } = statSync(at(path));
      expect(await run('filesystem.stat', { path: at(path), dereference: true })).toMatchObject({ ino });
      await run('filesystem.chmod', { path: at(path), mode: '600' });
      expect(statSync(at(path)).mode & 0o777).toBe(0o600);
      expect(await run('filesystem.ls', { path: at(path), dereference: true })).toMatchObject({
        entries: [{ type: '-' }],
      });
    },
  );

  it.each(['plain/a/b/c', 'linked/a/b/c', 'plain/linked/a/b', 'linked/a//./b/'])(
    'a tree is made at %s, of which nothing was there',
    async (path) => {
      await run('filesystem.mkdir', { path: at(path), parent: true });
      expect(statSync(at(path)).isDirectory()).toBe(true);
    },
  );

  it.each([
    ['plain/none', /No such file or directory$/],
    ['plain/none/none', /No such file or directory$/],
    ['plain/dangling-inside', /No such file or directory$/],
    ['plain/file/none', /No such file or directory$|Not a directory$/],
    ['plain/circle', /Too many levels|No such file or directory$/],
    ['none', /No such file or directory$/],
    ['none/none', /No such file or directory$/],
  ])('of %s is said what the cluster says', async (path, message) => {
    for (const name of reads.filter((each) => each !== 'filesystem.file')) {
      const said = { message: expect.stringMatching(message) };
      await expect(run(name, { path: at(path), dereference: true }), name).rejects.toMatchObject(said);
    }
  });

  it('a name that is no text leads where its bytes say', async () => {
    const odd = Buffer.concat([Buffer.from(at('plain/')), Buffer.from([0x6f, 0xff])]);
    mkdirSync(odd);
    symlinkSync(odd, at('plain/odd'));
    symlinkSync(Buffer.concat([odd, Buffer.from('/../../outside')]), at('plain/odd-out'));
    await expect(run('filesystem.ls', { path: at('plain/odd'), dereference: true })).resolves.toEqual({ entries: [] });
    await expect(run('filesystem.ls', { path: at('plain/odd-out/secret') })).rejects.toMatchObject(
      refused(at('plain/odd-out/secret')),
    );
  });

  it('a listing that follows links shows those that lead out as links, and does not go into them', async () => {
    const { entries } = (await run('filesystem.ls', {
      path: at('plain'),
      dereference: true,
      recursive: true,
    })) as { entries: { name: string; type: string }[] };
    const types = Object.fromEntries(entries.map(({ name, type }) => [name, type]));
    expect(types).toMatchObject({ out: 'l', secret: 'l', closed: 'l', dangling: 'l', inside: '-', real: 'd' });
    expect(types['real/file']).toBe('-');
    expect(Object.keys(types).filter((name) => name.startsWith('out/') || name.startsWith('up/'))).toEqual([]);
  });
});

describe('a file system', () => {
  it.each(['linked', 'plain/up/plain', 'plain/up/linked', 'plain/up/deep/real', 'plain/real/', 'plain/linked/'])(
    'is not removed by the name %s',
    async (path) => {
      const text = new RegExp(`^rm: refusing to remove '${at(path)}': the file system /`);
      await expect(run('filesystem.rm', { path: at(path) })).rejects.toMatchObject({
        code: 'InvalidRequest',
        message: expect.stringMatching(text),
      });
      expect([existsSync(at('plain/file')), existsSync(at('linked/file'))]).toEqual([true, true]);
    },
  );

  it('that is moved is followed within a minute', async () => {
    await run('filesystem.stat', { path: at('linked/file') });
    mkdirSync(at('moved'));
    writeFileSync(at('moved/file'), '');
    unlinkSync(at('linked'));
    symlinkSync('moved', at('linked'));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    const { ino } = statSync(at('moved/file'));
    expect(await run('filesystem.stat', { path: at('linked/file') })).toMatchObject({ ino });
    await expect(run('filesystem.stat', { path: at('plain/real/file') })).rejects.toMatchObject(
      refused(at('plain/real/file')),
    );
  });
});

describe('the location of a path', () => {
  it('is what realpath(1) says, for what is there and for what is not', async () => {
    const files = ssh.files('lab', alice.username);
    const shell = ssh.shell('lab', alice.username);
    const names = ['plain/second/secret', 'linked/none', 'plain/up/x/y/z', 'plain/deep-none', 'plain/real/../file', ''];
    for (const name of names) {
      const { stdout } = await shell.run(['realpath', '--canonicalize-missing', '--', `${own.path}/${name}`]);
      expect((await realLocation(files, `${own.path}/${name}`)).toString()).toBe(stdout.toString().trimEnd());
    }
  });

  it('is the same by both channels', async () => {
    const [files, stats] = [ssh.files('lab', alice.username), ssh.stats('lab', alice.username)];
    for (const name of ['plain/second/secret', 'linked/none', 'plain/circle', 'plain/out/none/none', 'plain/closed']) {
      const byLoop = await stats.realpath(at(name));
      const byFiles = await files.realpath(at(name)).catch(() => null);
      expect(byLoop?.toString(), name).toBe(byFiles?.toString());
    }
  });
});
