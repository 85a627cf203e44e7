import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { signalQuietly } from '../../lab/processes.ts';
import { userNamed } from '../../lab/users.ts';
import type { RemoteShell } from '../../workers/ssh/remote-shell.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { userProcesses } from '../user-processes.ts';
import { labUserCa, oddWords, sshTo, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
let ssh: Ssh;

beforeEach(() => {
  ssh = sshTo(systemOptions(lab.sshd, { commandTimeoutMs: 30_000 }), labUserCa(lab));
});

afterEach(async () => {
  await ssh.close();
});

const usesCommandLoop = true;

/** Process ids of the user's loops. */
function loops(username: string): number[] {
  const user = lab.users.find((candidate) => candidate.username === username);
  if (user === undefined) throw new Error(`no user ${username}`);
  const all = userProcesses(lab, user).filter(({ line }) => line.includes('GOLDCREST_CHILD='));
  return all.filter(({ parentPid }) => !all.some(({ pid }) => pid === parentPid)).map(({ pid }) => pid);
}

/** Runs a command that has a loop started, and answers its process id when it waits for the next. */
async function startLoop(shell: RemoteShell, username: string): Promise<number> {
  await shell.run(['true'], { usesCommandLoop });
  await vi.waitFor(() => {
    expect(ssh.poolStats()[0]).toMatchObject({ slotsInUse: 1, connectionsIdle: 1 });
    expect(loops(username)).toHaveLength(1);
  }, 20_000);
  return loops(username)[0] as number;
}

/** Whether the parent of the command's `timeout` is that process. */
const parentOfTimeout = 'cut -d" " -f4 /proc/$PPID/stat';

describe('a loop for short commands', () => {
  it.each(['gccarol', 'gcdash', 'gczsh', 'gctcsh', 'gcfish'])(
    'of %s tells each command the same words and environment as a channel of its own, and no other input',
    async (username) => {
      const shell = ssh.shell('lab', username);
      const script = `printf "%s\\0" "$@"; pwd; env | sort | grep -v "^_="; cat; printf oops >&2; exit 7`;
      const argv = ['sh', '-c', script, 'sh', ...oddWords];
      const options = { env: { GC_MARK: "o'k" }, cwd: '/tmp' };
      const usual = await shell.run(argv, options);
      const pid = await startLoop(shell, username);
      for (let round = 0; round < 2; round += 1) {
        const ran = await shell.run(argv, { ...options, usesCommandLoop });
        expect(ran.stdout.toString().split('\0').slice(0, oddWords.length)).toEqual(oddWords);
        expect({ ...ran, stdout: ran.stdout.toString() }).toEqual({ ...usual, stdout: usual.stdout.toString() });
        expect([ran.exitCode, ran.stderr.toString()]).toEqual([7, 'oops']);
        const parent = await shell.run(['sh', '-c', parentOfTimeout], { usesCommandLoop });
        expect(Number(parent.stdout.toString())).toBe(pid);
      }
      const plain = [await shell.run(['env'], { usesCommandLoop }), await shell.run(['env'])];
      const [inLoop, alone] = plain.map(({ stdout }) =>
        stdout
          .toString()
          .split('\n')
          .filter((line) => !line.startsWith('_='))
          .sort(),
      );
      expect(inLoop).toEqual(alone);
    },
  );

  it('keeps the outputs of commands apart, byte for byte, whatever they hold and however long they are', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    const pid = await startLoop(shell, 'gccarol');
    const big = `head -c 3000000 /dev/zero | tr '\\0' x; printf end; head -c 100000 /dev/zero >&2`;
    const { stdout, stderr } = await shell.run(['sh', '-c', big], { usesCommandLoop });
    expect(stdout.equals(Buffer.concat([Buffer.alloc(3_000_000, 'x'), Buffer.from('end')]))).toBe(true);
    expect(stderr.equals(Buffer.alloc(100_000))).toBe(true);
    for (const text of ['', '\n', 'a', '\n\n', `\n${'0'.repeat(32)} 0\n`, '\0\xff']) {
      const argv = ['printf', '%b', text.replaceAll('\n', '\\n').replace('\0\xff', '\\0000\\0377')];
      const ran = await shell.run(argv, { usesCommandLoop });
      expect([ran.stdout.toString('latin1'), ran.exitCode]).toEqual([text, 0]);
    }
    await expect(shell.run(['sh', '-c', big], { usesCommandLoop, outputBytesMax: 1_000_000 })).rejects.toMatchObject({
      code: 'OutputTooLarge',
    });
    await vi.waitFor(() => expect(loops('gccarol')).not.toContain(pid), 20_000);
    expect((await shell.run(['echo', 'well'], { usesCommandLoop })).stdout.toString()).toBe('well\n');
  });

  it('ends a command, and all that it started, with its cancellation, its time or its worker', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    const sleepers = () =>
      userProcesses(lab, userNamed(lab.users, 'carol')).filter(({ line }) => line === 'sleep 1000');
    const sleeping = ['sh', '-c', 'sleep 1000 & sleep 1000; wait'];
    const pid = await startLoop(shell, 'gccarol');
    const abort = new AbortController();
    const running = shell.run(sleeping, { usesCommandLoop, signal: abort.signal });
    const outcome = expect(running).rejects.toMatchObject({ code: 'TaskCanceled' });
    await vi.waitFor(() => expect(sleepers()).toHaveLength(2), 20_000);
    abort.abort();
    await outcome;
    expect(sleepers()).toEqual([]);
    expect(loops('gccarol')).not.toContain(pid);

    await startLoop(shell, 'gccarol');
    const late = shell.run(sleeping, { usesCommandLoop, timeoutMs: 1_000 });
    await expect(late).rejects.toMatchObject({ code: 'CommandTimeout' });
    expect(sleepers()).toEqual([]);
  });

  it('that runs a command leaves the next to a channel of its own', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    await startLoop(shell, 'gccarol');
    const abort = new AbortController();
    const first = shell.run(['sleep', '1000'], { usesCommandLoop, signal: abort.signal });
    const outcome = expect(first).rejects.toMatchObject({ code: 'TaskCanceled' });
    expect((await shell.run(['echo', 'second'], { usesCommandLoop })).stdout.toString()).toBe('second\n');
    abort.abort();
    await outcome;
  });

  it('that the host has ended is not used, and one that waits is gone with its connection', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      process.kill(await startLoop(shell, 'gccarol'), signal);
      await vi.waitFor(() => expect(ssh.poolStats()[0]).toMatchObject({ slotsInUse: 0 }), 20_000);
    }
    await startLoop(shell, 'gccarol');
    await ssh.close();
    await vi.waitFor(() => expect(loops('gccarol')).toEqual([]), 20_000);
  });

  it('that is lost with its command says that it may have been done', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    const pid = await startLoop(shell, 'gccarol');
    const running = shell.run(['sleep', '777'], { usesCommandLoop });
    const outcome = expect(running).rejects.toMatchObject({ code: 'SshUnavailable', detail: { sent: true } });
    const isCommand = ({ line }: { line: string }) => line.endsWith('sleep 777');
    const commands = () => userProcesses(lab, userNamed(lab.users, 'carol')).filter(isCommand);
    await vi.waitFor(() => expect(commands().some(({ line }) => line === 'sleep 777')).toBe(true), 20_000);
    process.kill(pid, 'SIGKILL');
    // It has the channel still, which ends with it.
    for (const command of commands()) signalQuietly(command.pid, 'SIGKILL');
    await outcome;
  });

  it('is told of when it starts and ends, beside each command that it runs', async () => {
    const told: string[] = [];
    const observed = sshTo(systemOptions(lab.sshd), labUserCa(lab), ({ argv, username, isLasting }) => {
      const what = `${username} ${isLasting ? 'loop' : argv.join(' ')}`;
      told.push(`${what} begins`);
      return ({ exitCode }) => void told.push(`${what} ended ${exitCode}`);
    });
    const shell = observed.shell('lab', 'gccarol');
    await shell.run(['echo', 'one'], { usesCommandLoop });
    await vi.waitFor(() => expect(observed.poolStats()[0]).toMatchObject({ slotsInUse: 1 }), 20_000);
    await shell.run(['false'], { usesCommandLoop });
    await observed.close();
    await vi.waitFor(() => expect(told.at(-1)).toMatch(/^gccarol loop ended/), 20_000);
    expect(told.slice(0, -1)).toEqual([
      ...['gccarol echo one begins', 'gccarol loop begins', 'gccarol echo one ended 0'],
      ...['gccarol false begins', 'gccarol false ended 1'],
    ]);
  });

  it('is not started where a user has few channels', async () => {
    const few = sshTo(
      systemOptions(lab.sshd, { channelsPerConnectionMax: 4, connectionsPerUserMax: 1 }),
      labUserCa(lab),
    );
    const shell = few.shell('lab', 'gcdash');
    for (let round = 0; round < 3; round += 1) await shell.run(['true'], { usesCommandLoop });
    expect(few.poolStats()[0]).toMatchObject({ slotsInUse: 0 });
    await few.close();
  });
});
