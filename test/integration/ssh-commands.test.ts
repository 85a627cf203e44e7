import { readFileSync } from 'node:fs';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { RemoteShell } from '../../workers/ssh/remote-shell.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { labUserCa, sshTo, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
let ssh: Ssh;
let shell: RemoteShell;

beforeAll(() => {
  ssh = sshTo(systemOptions(lab.sshd), labUserCa(lab));
  shell = ssh.shell('lab', 'gcalice');
});

afterAll(async () => {
  await ssh?.close();
});

/** A sleep that no other test run, on a machine that may have several, is likely to use. */
function marker(number: number): string {
  return String(1_000_000 + process.pid * 100 + number);
}

async function isRunning(marker: string): Promise<boolean> {
  const { stdout } = await shell.run(['ps', '-u', 'gcalice', '-o', 'args=']);
  return stdout.toString().includes(`sleep ${marker}`);
}

/** Resolves when the command with this marker runs. */
async function untilRunning(marker: string): Promise<void> {
  while (!(await isRunning(marker))) await new Promise((resolve) => setImmediate(resolve));
}

describe('a remote command', () => {
  it('answers output, exit code and signal apart', async () => {
    const failed = await shell.run(['sh', '-c', 'echo out; echo err >&2; exit 3']);
    expect([failed.stdout.toString(), failed.stderr.toString(), failed.exitCode]).toEqual(['out\n', 'err\n', 3]);
    const missing = await shell.run(['no-such-command-here']);
    expect(missing.exitCode).toBe(127);
  });

  it('sees the end of its input even when there is none', async () => {
    const { stdout } = await shell.run(['cat']);
    expect(stdout.length).toBe(0);
  });

  it('takes large input and gives large output unchanged', async () => {
    const data = Buffer.alloc(4 * 1024 * 1024, 'goldcrest\0\xff', 'latin1');
    const { stdout } = await shell.run(['cat'], { stdin: data });
    expect(stdout.equals(data)).toBe(true);
  });

  it('is ended on the cluster when its time is up, also when it ignores SIGTERM', async () => {
    await expect(shell.run(['sleep', marker(1)], { timeoutMs: 300 })).rejects.toMatchObject({ code: 'CommandTimeout' });
    const stubborn = ['sh', '-c', `trap '' TERM; sleep ${marker(2)}; sleep ${marker(2)}`];
    await expect(shell.run(stubborn, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'CommandTimeout' });
    expect(await isRunning(marker(1))).toBe(false);
    expect(await isRunning(marker(2))).toBe(false);
  });

  it('that itself exits with 124 before its time is no timeout', async () => {
    expect((await shell.run(['sh', '-c', 'exit 124'])).exitCode).toBe(124);
  });

  it.each(['gcalice', 'gcfish', 'gctcsh', 'gczsh', 'gcdash'])(
    'of %s is gone when its cancellation is answered',
    async (username) => {
      const abort = new AbortController();
      const other = ssh.shell('lab', username);
      const running = other.run(['sh', '-c', `sleep ${marker(3)}; true`], { signal: abort.signal });
      const processes = async () => (await other.run(['ps', '-u', username, '-o', 'args='])).stdout.toString();
      while (!(await processes()).includes(marker(3))) await new Promise((resolve) => setImmediate(resolve));
      abort.abort();
      await expect(running).rejects.toMatchObject({ code: 'TaskCanceled' });
      expect(await processes()).not.toContain(marker(3));
    },
  );

  it('that was canceled before it began does not begin', async () => {
    const run = shell.run(['touch', '/tmp/gc-never'], { signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'TaskCanceled' });
    expect((await shell.run(['test', '-e', '/tmp/gc-never'])).exitCode).toBe(1);
  });

  it('that writes more than its bound is killed', async () => {
    const run = shell.run(['yes', marker(5)], { outputBytesMax: 100_000 });
    await expect(run).rejects.toMatchObject({
      code: 'OutputTooLarge',
      message: 'Command output exceeded buffer limit.',
    });
    expect((await shell.run(['ps', '-u', 'gcalice', '-o', 'args='])).stdout.toString()).not.toContain(
      `yes ${marker(5)}`,
    );
  });

  it('whose connection breaks says that it may have started, and the next one runs on a new connection', async () => {
    // The parent of `timeout` is the sshd process of this connection.
    const script = 'echo $$; ps -o ppid= -p "$PPID"';
    const { stdout } = await shell.run(['sh', '-c', script]);
    const connection = stdout.toString().trim().split(/\s+/)[1] ?? '';
    const running = shell.run(['sleep', marker(6)]);
    const outcome = expect(running).rejects.toMatchObject({ code: 'SshUnavailable', detail: { sent: true } });
    await untilRunning(marker(6));
    const { stdout: orphan } = await shell.run(['pgrep', '-f', `^sleep ${marker(6)}`]);
    await shell.run(['kill', '-KILL', connection]).catch(() => undefined);
    await outcome;
    expect((await shell.run(['echo', 'again'])).stdout.toString()).toBe('again\n');
    await shell.run(['kill', orphan.toString().trim()]);
  });

  it('that leaves a child behind with its output open does not wait for the child', async () => {
    const { stdout, exitCode } = await shell.run(['sh', '-c', `sleep ${marker(7)} & echo $!`]);
    expect(exitCode).toBe(0);
    await shell.run(['kill', stdout.toString().trim()]);
  });
});

describe('latency', () => {
  it('is not that of Nagle: a run is no multiple of a bare exec over a raw client without delay', async () => {
    const user = lab.users.find(({ username }) => username === 'gcalice');
    const client = new ssh2.Client();
    await new Promise<void>((resolve, reject) => {
      client.once('ready', () => resolve()).once('error', reject);
      client.connect({
        host: lab.sshd.host,
        port: lab.sshd.port,
        username: 'gcalice',
        privateKey: readFileSync(user?.privateKeyPath ?? ''),
      });
    });
    client.setNoDelay(true);
    const raw = () =>
      new Promise<void>((resolve, reject) => {
        client.exec('exec /usr/bin/env LC_ALL=C timeout -k 2 10 true', (error, stream) => {
          if (error) reject(error);
          else stream.on('close', () => resolve()).resume();
        });
      });
    const timeOf = async (act: () => Promise<unknown>) => {
      const startedAt = performance.now();
      await act();
      return performance.now() - startedAt;
    };
    await shell.run(['true']);
    // By turns, so that what else the machine does is in both.
    const times: [bare: number, ours: number][] = [];
    for (let round = 0; round < 21; round += 1)
      times.push([await timeOf(raw), await timeOf(() => shell.run(['true']))]);
    const [bare = Number.NaN, ours = Number.NaN] = ([0, 1] as const).map(
      (which) => times.map((both) => both[which]).sort((a, b) => a - b)[10],
    );
    client.end();
    expect(ours / bare).toBeLessThan(3);
  });
});
