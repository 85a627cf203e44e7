import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Lab } from '../../lab/lab.ts';
import type { SshdServer } from '../../lab/parts/sshd.ts';
import { createInProcessHandshakeLimiter } from '../../workers/ssh/handshake-limiter.ts';
import { createSsh, type Ssh } from '../../workers/ssh/ssh.ts';
import { eventually } from '../eventually.ts';
import { labUserCa, silent, sshTo, startSshLab, systemOptions } from './ssh-fixture.ts';

let lab: Lab;
const open = new Set<Ssh>();

beforeAll(async () => {
  lab = await startSshLab();
}, 60_000);

afterAll(async () => {
  for (const ssh of open) await ssh.close();
  await lab?.stop();
});

function pooled(server: SshdServer, more: Parameters<typeof systemOptions>[1] = {}): Ssh {
  const ssh = sshTo(systemOptions(server, more), labUserCa(lab));
  open.add(ssh);
  return ssh;
}

/** TCP connections of this process to a server. */
function connectionsTo(server: SshdServer): number {
  const lines = execFileSync('ss', ['-tnpH', 'state', 'established', `dport = :${server.port}`]).toString();
  return lines.split('\n').filter((line) => line.includes(`pid=${process.pid},`)).length;
}

/** A TCP proxy before a server, to break connections in the two ways networks do. */
async function startMiddle(server: SshdServer) {
  const sockets = new Set<Socket>();
  const middle = createServer((near) => {
    const far = connect(server.port, server.host);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
  }).listen(0, '127.0.0.1');
  await once(middle, 'listening');
  const address = middle.address();
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    cut,
    /** Connections stay up and nothing passes any more. */
    silence() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    close() {
      cut();
      middle.close();
    },
  };
}

describe('a pool', () => {
  it('serves three workers with four users of 30 parallel requests each at MaxSessions 10 without one failure', async () => {
    // One limiter for all, as the leases in Redis are: it is what keeps 12 first logins within MaxStartups.
    const handshakes = createInProcessHandshakeLimiter(8);
    const options = systemOptions(lab.sshd, { slotWaitMs: 30_000 });
    const credentials = labUserCa(lab);
    const workers = [1, 2, 3].map(() =>
      createSsh({ systems: [options], credentials: () => credentials, handshakes, log: silent }),
    );
    for (const worker of workers) open.add(worker);
    const requests = workers.flatMap((worker) =>
      ['gcalice', 'gcbob', 'gccarol', 'gcsvc'].flatMap((username) =>
        Array.from({ length: 30 }, async (_, index) => {
          if (index % 3 === 0) await worker.files('lab', username).stat('/etc/passwd');
          else if (index % 3 === 1) await worker.stats('lab', username).stat('/etc/passwd');
          expect((await worker.shell('lab', username).run(['true'])).exitCode).toBe(0);
        }),
      ),
    );
    const failures = (await Promise.allSettled(requests)).filter(({ status }) => status === 'rejected');
    expect(failures).toEqual([]);
    for (const worker of workers) {
      expect(worker.poolStats()[0]?.connectionsOpen).toBeLessThanOrEqual(16);
      await worker.close();
    }
  }, 90_000);

  it('works at a server that admits fewer sessions than it asks for', async () => {
    const narrow = await lab.sshd.startAnother({ name: 'narrow', hostKey: 'own', maxSessions: 3 });
    const ssh = pooled(narrow, { slotWaitMs: 20_000 });
    const runs = Array.from({ length: 40 }, () => ssh.shell('lab', 'gcalice').run(['true']));
    const codes = (await Promise.all(runs)).map(({ exitCode }) => exitCode);
    expect(codes.every((code) => code === 0)).toBe(true);
    await ssh.close();
  }, 60_000);

  it('tries again when sshd drops handshakes', async () => {
    const busy = await lab.sshd.startAnother({ name: 'busy', hostKey: 'own', maxStartups: '2:100:2' });
    const ssh = pooled(busy);
    const users = ['gcalice', 'gcbob', 'gccarol', 'gcsvc', 'gcdash', 'gczsh'];
    const runs = await Promise.all(users.map((username) => ssh.shell('lab', username).run(['id', '-un'])));
    expect(runs.map(({ stdout }) => stdout.toString().trim())).toEqual(users);
    await ssh.close();
  });

  it('makes one login for requests that come together', async () => {
    const ssh = pooled(lab.sshd);
    await Promise.all(Array.from({ length: 6 }, () => ssh.shell('lab', 'gcalice').run(['true'])));
    expect(ssh.poolStats()[0]?.connectionsOpened).toBe(1);
    await ssh.close();
  });

  it('answers SshNoChannel and when to come back, after the wait and no later, when all slots are held', async () => {
    const ssh = pooled(lab.sshd, { connectionsPerUserMax: 1, channelsPerConnectionMax: 4, slotWaitMs: 300 });
    const shell = ssh.shell('lab', 'gcalice');
    await shell.run(['true']);
    const abort = new AbortController();
    const held = Array.from({ length: 4 }, () =>
      shell.run(['sleep', '60'], { signal: abort.signal }).catch(() => 'ended'),
    );
    const startedAt = performance.now();
    const error = await shell.run(['true']).catch((refused: unknown) => refused);
    expect(error).toMatchObject({ code: 'SshNoChannel', retryAfterSeconds: expect.any(Number) });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    abort.abort();
    await Promise.all(held);
    expect((await shell.run(['true'])).exitCode).toBe(0);
    await ssh.close();
  });

  it('refuses at once when too many wait', async () => {
    const ssh = pooled(lab.sshd, { connectionsPerUserMax: 1, channelsPerConnectionMax: 4, slotWaitersMax: 5 });
    const shell = ssh.shell('lab', 'gcalice');
    const results = await Promise.allSettled(Array.from({ length: 60 }, () => shell.run(['true'])));
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason.code);
    expect(new Set(refused)).toEqual(new Set(['SshNoChannel']));
    expect(refused.length).toBeLessThan(60);
    await ssh.close();
  });

  it('keeps to its bound of connections by closing the one idle for longest, warm channels and all', async () => {
    const ssh = pooled(lab.sshd, { connectionsMax: 2 });
    for (const username of ['gcalice', 'gcbob', 'gccarol', 'gcdash']) {
      await ssh.files('lab', username).stat('/');
      await ssh.stats('lab', username).stat('/');
      expect(ssh.poolStats()[0]?.connectionsOpen).toBeLessThanOrEqual(2);
    }
    const before = ssh.poolStats()[0]?.connectionsOpened;
    await ssh.files('lab', 'gcdash').stat('/');
    expect(ssh.poolStats()[0]?.connectionsOpened).toBe(before);
    await ssh.close();
  });

  it('closes what nobody uses, and forgets the user', async () => {
    const ssh = pooled(lab.sshd, { idleTimeoutMs: 400 });
    await ssh.shell('lab', 'gcalice').run(['true']);
    await ssh.files('lab', 'gcalice').stat('/');
    await ssh.stats('lab', 'gcalice').stat('/');
    await eventually(() => expect(ssh.poolStats()[0]).toMatchObject({ connectionsOpen: 0, users: 0 }));
    expect((await ssh.shell('lab', 'gcalice').run(['true'])).exitCode).toBe(0);
    await ssh.close();
  });

  it('says soon that a host cannot be reached, and recovers when it can', async () => {
    const gone = await lab.sshd.startAnother({ name: 'gone', hostKey: 'own' });
    const ssh = pooled(gone);
    await gone.stop();
    await expect(ssh.shell('lab', 'gcalice').run(['true'])).rejects.toMatchObject({
      code: 'SshUnavailable',
      detail: { sent: false },
    });
    await ssh.close();
  });

  it('notices a connection that died without a word, and goes on over another', async () => {
    const middle = await startMiddle(lab.sshd);
    const ssh = pooled(lab.sshd, { port: middle.port, keepAliveMs: 1_000 });
    const shell = ssh.shell('lab', 'gcalice');
    await shell.run(['true']);
    const running = shell.run(['sleep', '30'], { timeoutMs: 40_000 });
    await shell.run(['true']);
    middle.silence();
    await expect(running).rejects.toMatchObject({ code: 'SshUnavailable', detail: { sent: true } });
    expect((await shell.run(['true'])).exitCode).toBe(0);
    await ssh.close();
    middle.close();
  });

  it('repeats on another connection what a broken one cannot have started', async () => {
    const middle = await startMiddle(lab.sshd);
    const ssh = pooled(lab.sshd, { port: middle.port });
    const [shell, files] = [ssh.shell('lab', 'gcalice'), ssh.files('lab', 'gcalice')];
    await files.stat('/');
    middle.cut();
    // The end of the connection is not known on this side yet.
    const [ran, seen] = await Promise.all([shell.run(['echo', 'ran']), files.stat('/')]);
    expect(ran.stdout.toString()).toBe('ran\n');
    expect(seen.mode & 0o170000).toBe(0o040000);
    await ssh.close();
    middle.close();
  });

  it('drains: what runs ends well, what comes later is turned away, and nothing stays open', async () => {
    const ssh = pooled(lab.sshd);
    const shell = ssh.shell('lab', 'gcalice');
    await ssh.files('lab', 'gcalice').stat('/');
    await ssh.stats('lab', 'gcalice').stat('/');
    await shell.run(['true']);
    const mayEnd = `${lab.folder}-drained`;
    const running = shell.run(['sh', '-c', 'until [ -e "$1" ]; do sleep 0.1; done; echo done', 'sh', mayEnd]);
    await eventually(() => expect(ssh.poolStats()[0]?.slotsInUse).toBe(3));
    const closed = ssh.close();
    await expect(shell.run(['true'])).rejects.toMatchObject({ code: 'ShuttingDown' });
    writeFileSync(mayEnd, '');
    expect((await running).stdout.toString()).toBe('done\n');
    await closed;
    rmSync(mayEnd);
    expect(ssh.poolStats()[0]).toMatchObject({ connectionsOpen: 0, slotsInUse: 0, users: 0 });
    for (const other of open) await other.close();
    expect(connectionsTo(lab.sshd)).toBe(0);
    const waiting = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    expect(waiting).toEqual([]);
  });
});

describe('an SFTP server of OpenSSH', () => {
  it('is asked for 128 KiB in one request, and for 32 KiB where it does not say what it takes', async () => {
    const silentOne = await lab.sshd.startAnother({ name: 'unsaid', hostKey: 'own', sftpOptions: '-P limits' });
    const data = Buffer.from(Array.from({ length: 700_001 }, (_, at) => (at * 13) % 256));
    for (const [server, requestBytes] of [
      [lab.sshd, 128 * 1024],
      [silentOne, 32 * 1024],
    ] as const) {
      const ssh = pooled(server);
      const files = ssh.files('lab', 'gcalice');
      const path = `${lab.folder}-limits-${requestBytes}`;
      await files.withNewFile(path, async (file) => {
        await file.append(data);
        await file.finish();
      });
      const chunks: Buffer[] = [];
      await files.withOpenFile(path, (file) => file.stream(0, data.length, (chunk) => void chunks.push(chunk)));
      await files.unlink(path);
      expect(Buffer.concat(chunks).equals(data)).toBe(true);
      expect(chunks[0]?.length).toBe(requestBytes);
      await ssh.close();
    }
  });
});

describe('a host that runs something else in the place of a command', () => {
  it('is not asked for a loop again, and runs each command by itself', async () => {
    const forced = await lab.sshd.startAnother({ name: 'forced', hostKey: 'own', forceCommand: 'echo hello' });
    const ssh = pooled(forced);
    const shell = ssh.shell('lab', 'gcalice');
    for (let round = 0; round < 3; round += 1) {
      expect((await shell.run(['true'], { usesCommandLoop: true })).stdout.toString()).toBe('hello\n');
      await vi.waitFor(() => expect(ssh.poolStats()[0]).toMatchObject({ slotsInUse: 0 }), 20_000);
    }
    expect(readFileSync(forced.logFile, 'utf8').match(/Starting session: forced-command/g)).toHaveLength(4);
    await ssh.close();
  }, 60_000);
});
