import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { createConnectionPool, type LentChannel } from '../../workers/ssh/connection-pool.ts';
import { createInProcessHandshakeLimiter } from '../../workers/ssh/handshake-limiter.ts';
import { createHostKeyVerifier } from '../../workers/ssh/host-keys.ts';
import type { DirectoryEntry, RemoteFiles } from '../../workers/ssh/remote-files.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { createWarmFileLoop } from '../../workers/ssh/warm-file-loop.ts';
import { withWholeFile } from '../../workers/ssh/whole-file.ts';
import { eventually } from '../eventually.ts';
import { userProcesses } from '../user-processes.ts';
import { labUserCa, silent, sshTo, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
const sizeMax = 64 * 1024 * 1024;
let ssh: Ssh;
let files: RemoteFiles;
let folder: string;

beforeAll(() => {
  ssh = sshTo(systemOptions(lab.sshd), labUserCa(lab));
  files = ssh.files('lab', 'gccarol');
  folder = mkdtempSync(join(tmpdir(), 'gc-file-loop-'));
  chmodSync(folder, 0o755);
});

afterAll(async () => {
  await ssh?.close();
  if (folder) rmSync(folder, { recursive: true });
});

/** All bytes of a file by the loop; null where it did not come that way. */
async function whole(path: string | Buffer, bytesMax = sizeMax): Promise<Buffer | null> {
  return await files.withWholeFile(path, bytesMax, async (file) => {
    const chunks: Buffer[] = [];
    expect(await file.stream((chunk) => void chunks.push(Buffer.from(chunk)))).toBe(file.sizeBytes);
    return Buffer.concat(chunks);
  });
}

function written(name: string, data: Buffer | string): string {
  const path = join(folder, name);
  writeFileSync(path, data, { mode: 0o644 });
  return path;
}

/** The loops of gccarol. */
function loops(): number[] {
  const processes = userProcesses(lab, userNamed(lab.users, 'carol'));
  return processes
    .filter(({ line }) => line.startsWith('perl') && line.includes('reading($path)'))
    .map(({ pid }) => pid);
}

/** Bytes of the file that a process has read; more than it has, where the process has it not open any more. */
function readSoFar(pid: number, path: string): number {
  const open = readdirSync(`/proc/${pid}/fd`).find((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path);
  if (open === undefined) return Number.POSITIVE_INFINITY;
  return Number(/^pos:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${open}`, 'latin1'))?.[1]);
}

/** The loop has said that it is one. */
async function started(): Promise<void> {
  const path = written('ready', 'ready');
  await files.stat(path); // one is started where a connection is up
  await vi.waitFor(async () => expect((await whole(path))?.toString()).toBe('ready'), 20_000);
}

describe('a loop that sends whole files and directories', () => {
  beforeEach(started);

  it('sends every byte of them as it is, whatever their size and their name, with size and time', async () => {
    for (const sizeBytes of [1, 32 * 1024, 262_143, 262_144, 262_145, 5_000_001]) {
      const data = randomBytes(sizeBytes);
      const path = written(`size-${sizeBytes}`, data);
      expect((await whole(path))?.equals(data)).toBe(true);
    }
    const odd = Buffer.concat([Buffer.from(`${folder}/ '"\n\\$(id) `), Buffer.from([0xff, 0x41])]);
    writeFileSync(odd, 'F 9 9\n-\n');
    expect((await whole(odd))?.toString()).toBe('F 9 9\n-\n');
    const below = join(...Array.from({ length: 14 }, (_, at) => String(at).padEnd(255, 'd')));
    mkdirSync(join(folder, below), { recursive: true });
    const long = written(join(below, 'x'), 'at the end of a long path');
    expect(long.length).toBeGreaterThan(3_500);
    expect((await whole(long))?.toString()).toBe('at the end of a long path');
    symlinkSync(odd, join(folder, 'link'));
    const seen = await files.withWholeFile(join(folder, 'link'), 9, async (file) => {
      await file.stream(() => undefined);
      return file;
    });
    const { mtime } = await files.stat(odd);
    expect(seen).toMatchObject({ sizeBytes: 8, mtime });
    expect(loops()).toHaveLength(1);
  });

  it('lists a directory as SFTP does, whatever the names, up to a number of them', async () => {
    const inside = join(folder, 'listed');
    const odd = Buffer.concat([Buffer.from(`${inside}/ '"\n$(id)\r`), Buffer.from([0xff, 0x41])]);
    mkdirSync(inside);
    mkdirSync(join(inside, '.hidden'), { mode: 0o2751 });
    writeFileSync(odd, 'odd', { mode: 0o604 });
    symlinkSync('nowhere', join(inside, 'broken'));
    execFileSync('mkfifo', [join(inside, 'fifo')]);
    execFileSync('truncate', ['-s', '5G', join(inside, 'large')]);
    execFileSync('touch', ['-d', '1960-01-01', join(inside, 'old')]);
    for (let n = 0; n < 600; n += 1) writeFileSync(join(inside, `${n}`.padEnd(200, 'x')), '');
    const byName = (a: DirectoryEntry, b: DirectoryEntry) => a.nameBytes.compare(b.nameBytes);
    const listed = async (path: string, entriesMax?: number): Promise<DirectoryEntry[]> => {
      const all: DirectoryEntry[] = [];
      await files.eachEntry(path, (entries) => void all.push(...entries), entriesMax ? { entriesMax } : {});
      return all.sort(byName);
    };
    const bySftp = (await files.readdir(inside)).sort(byName);
    expect(bySftp).toHaveLength(606);
    const [pid] = loops();
    const read = () => Number(/^rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
    const before = read();
    expect(await listed(inside, 606)).toEqual(bySftp);
    expect(read()).toBeGreaterThan(before); // it was the loop that was asked
    await expect(listed(inside, 605)).rejects.toMatchObject({ code: 'OutputTooLarge' });
    mkdirSync(join(folder, 'bare'));
    expect(await listed(join(folder, 'bare'))).toEqual([]);
    await expect(listed(join(inside, 'large'))).rejects.toThrow(/^ls: cannot access /);
    await expect(listed(join(inside, 'fifo'))).rejects.toThrow(/^ls: cannot access /);
    await expect(listed(join(inside, 'missing'))).rejects.toMatchObject({ code: 'FileNotFound' });
    mkdirSync(join(folder, 'closed'), { mode: 0o700 });
    await expect(listed(join(folder, 'closed'))).rejects.toMatchObject({ code: 'PermissionDenied' });
    expect(loops()).toEqual([pid]);
  });

  it('leaves to SFTP what is no regular file, empty, too large, closed or not there, and does not wait for a FIFO', async () => {
    execFileSync('mkfifo', ['-m', '666', join(folder, 'fifo')]);
    symlinkSync('fifo', join(folder, 'to-fifo'));
    written('empty', '');
    const secret = written('secret', 'x');
    chmodSync(secret, 0o600);
    const others = ['fifo', 'to-fifo', 'empty', 'secret', 'nothing', '', 'nul\0'].map((name) => join(folder, name));
    for (const path of [...others, '/dev/zero', '/proc/self/status', '']) expect(await whole(path)).toBeNull();
    const path = written('ten', '0123456789');
    expect(await whole(path, 9)).toBeNull();
    expect((await whole(path, 10))?.toString()).toBe('0123456789');
    expect(loops()).toHaveLength(1);
  });

  it('sends one file at a time, and holds the host back for who takes it slowly', async () => {
    const data = randomBytes(48 * 1024 * 1024);
    const path = written('slow', data);
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const chunks: Buffer[] = [];
    const slow = files.withWholeFile(path, sizeMax, (file) =>
      file.stream((chunk) => {
        chunks.push(Buffer.from(chunk));
        return chunks.length === 3 ? held : undefined;
      }),
    );
    await eventually(() => expect(chunks).toHaveLength(3));
    // The loop is taken: others go another way, and are not held up.
    expect(await whole(written('other', 'x'))).toBeNull();
    expect((await files.readFile(join(folder, 'other'), { bytesMax: 1 })).toString()).toBe('x');
    // What fits into windows and sockets has been read there, and no more.
    let seen = -1;
    await vi.waitFor(
      () => {
        const last = seen;
        seen = readSoFar(loops()[0] as number, path);
        expect(seen).toBe(last);
      },
      { timeout: 30_000, interval: 200 },
    );
    expect(seen).toBeLessThan(data.length / 2);
    goOn();
    expect(await slow).toBe(data.length);
    expect(Buffer.concat(chunks).equals(data)).toBe(true);
    expect(loops()).toHaveLength(1);
  });

  it('ends with a file that nobody wants any more, and the next one comes by another', async () => {
    const path = written('aborted', randomBytes(16 * 1024 * 1024));
    const first = loops();
    const abort = new AbortController();
    let count = 0;
    const broken = files.withWholeFile(
      path,
      sizeMax,
      (file) =>
        file.stream((chunk) => {
          count += chunk.length;
          if (count > 1_000_000) abort.abort(new Error('not any more'));
          return undefined;
        }),
      { signal: abort.signal },
    );
    await expect(broken).rejects.toThrow('not any more');
    const refused = started().then(() =>
      files.withWholeFile(path, sizeMax, async () => {
        throw new Error('not this one'); // before a byte was taken
      }),
    );
    await expect(refused).rejects.toThrow('not this one');
    await started();
    await eventually(() => expect(loops()).toHaveLength(1));
    expect(loops()).not.toEqual(first);
    expect(ssh.poolStats()[0]?.slotsInUse).toBeLessThanOrEqual(2);
  });

  it('says how much of a file there was that became shorter', async () => {
    const path = written('shrinking', randomBytes(24 * 1024 * 1024));
    let count = 0;
    const sent = await files.withWholeFile(path, sizeMax, async (file) => {
      const told = await file.stream((chunk) => {
        if (count === 0) truncateSync(path, 5 * 1024 * 1024);
        count += chunk.length;
        return undefined;
      });
      return { told, sizeBytes: file.sizeBytes };
    });
    expect(sent).toEqual({ told: count, sizeBytes: 24 * 1024 * 1024 });
    expect(count).toBeLessThan(24 * 1024 * 1024);
    await started();
  });

  it('is SshUnavailable where its process is killed in the middle, and started again', async () => {
    const path = written('killed', randomBytes(16 * 1024 * 1024));
    const [pid] = loops();
    const killed = files.withWholeFile(path, sizeMax, async (file) => {
      process.kill(pid as number, 'SIGKILL');
      return await file.stream(() => undefined);
    });
    await expect(killed).rejects.toMatchObject({ code: 'SshUnavailable', detail: { sent: true } });
    await started();
  });

  it('is CommandTimeout and dropped where it says nothing in time', async () => {
    const path = written('stopped', 'x');
    const [pid] = loops();
    process.kill(pid as number, 'SIGSTOP');
    const never = (): Promise<never> => Promise.reject(new Error('a file came'));
    const stopped = files.withWholeFile(path, sizeMax, never, { timeoutMs: 300 });
    await expect(stopped).rejects.toMatchObject({ code: 'CommandTimeout' });
    await started();
    process.kill(pid as number, 'SIGCONT');
    await eventually(() => expect(loops()).not.toContain(pid));
  });
});

/** Connections as gccarol whose every command is another one. */
function poolThatRuns(exec: string) {
  const { host, port, hostKeys, connectTimeoutMs, loginTimeoutMs, keepAliveMs } = systemOptions(lab.sshd);
  const verifier = createHostKeyVerifier(hostKeys, { host, port }, silent);
  const handshakes = createInProcessHandshakeLimiter();
  const pool = createConnectionPool({
    system: 'lab',
    route: { target: { host, port, verifier }, connectTimeoutMs, loginTimeoutMs, keepAliveMs, handshakes },
    bounds: {
      ...{ channelsPerConnectionMax: 8, connectionsMax: 1, slotWaitMs: 5_000, slotWaitersMax: 10 },
      ...{ idleTimeoutMs: 30_000, openTimeoutMs: 20_000 },
    },
    connectionsMax: 1,
    credentials: labUserCa(lab),
    log: silent,
  });
  let opened = 0;
  return {
    pool,
    opened: () => opened,
    loops: {
      hasSpare: () => true,
      open(username: string): Promise<LentChannel> {
        opened += 1;
        return pool.open(username, { exec });
      },
    },
  };
}

it.each([
  ['the host has no perl', 'exec goldcrest-has-no-perl -e'],
  ['a start-up file of the shell writes to standard output', 'echo hello; exec cat'],
])('is tried once and not used where %s', async (_why, exec) => {
  const { pool, loops: opening, opened } = poolThatRuns(exec);
  try {
    const loop = createWarmFileLoop(opening, 'gccarol', { idleMs: 30_000, observe: undefined });
    const never = (): Promise<never> => Promise.reject(new Error('a file was sent'));
    const ask = () => withWholeFile(loop, Buffer.from(join(folder, 'ready')), sizeMax, { timeoutMs: 5_000 }, never);
    expect(await ask()).toBeNull();
    await vi.waitFor(() => expect([opened(), pool.stats().slotsInUse]).toEqual([1, 0]), 20_000);
    expect([await ask(), await ask(), opened()]).toEqual([null, null, 1]);
  } finally {
    await pool.close();
  }
});

it.each([
  ['a size past the limit', 'F 50000000 1'],
  ['a size of forty digits', `F ${'9'.repeat(40)} 1`],
  ['a time that is none', 'F 1 99999999999999999'],
])('is dropped, and sends nothing, where a perl of the user says %s', async (_what, line) => {
  const fake = `$| = 1; sysread STDIN, $x, 65536; print "-\\n"; sysread STDIN, $x, 65536; print "${line}\\n" . "x" x 100000; sleep 600`;
  const { pool, loops: opening } = poolThatRuns(`exec perl -e '${fake}'`);
  try {
    const loop = createWarmFileLoop(opening, 'gccarol', { idleMs: 30_000, observe: undefined });
    const never = (): Promise<never> => Promise.reject(new Error('a file was sent'));
    const ask = () => withWholeFile(loop, Buffer.from(join(folder, 'ready')), 1_000, { timeoutMs: 5_000 }, never);
    expect(await ask()).toBeNull();
    await vi.waitFor(() => expect(loop.take()).toBeDefined(), 20_000);
    expect(await ask()).toBeNull();
    expect(loop.take()).toBeUndefined();
  } finally {
    await pool.close();
  }
});
