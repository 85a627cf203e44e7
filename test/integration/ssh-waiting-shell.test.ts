import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
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

const usesWaitingShell = true;

/** Runs a command that has a shell started for the next, and answers the process ids of those that wait, when it does. */
async function startWaiting(shell: RemoteShell, username: string): Promise<number[]> {
  await shell.run(['true'], { usesWaitingShell });
  await vi.waitFor(() => {
    expect(ssh.poolStats()[0]).toMatchObject({ slotsInUse: 1, connectionsIdle: 1 });
    // sshd answers before its child has become the shell.
    expect(waitingShells(username)).not.toEqual([]);
  }, 20_000);
  return waitingShells(username);
}

function waitingShells(username: string): number[] {
  const user = lab.users.find((candidate) => candidate.username === username);
  if (user === undefined) throw new Error(`no user ${username}`);
  const all = userProcesses(lab, user).filter(({ line }) => line.includes('GOLDCREST_LINE; } &&'));
  return all.map(({ pid }) => pid);
}

describe('a shell that waits', () => {
  it.each(['gccarol', 'gcdash', 'gczsh', 'gctcsh', 'gcfish'])(
    'of %s becomes the next command, which is told the same words, environment and input as another one',
    async (username) => {
      const shell = ssh.shell('lab', username);
      const script = 'printf "%s\\0" "$PPID" "$@"; pwd; env | sort | grep -v "^_="; cat; exit 7';
      const argv = ['sh', '-c', script, 'sh', ...oddWords];
      const options = { stdin: 'first line\nlast line', env: { GC_MARK: "o'k" }, cwd: '/tmp' };
      const pids = await startWaiting(shell, username);
      const [waited, usual] = [await shell.run(argv, { ...options, usesWaitingShell }), await shell.run(argv, options)];
      expect(waited.exitCode).toBe(7);
      const [parent, ...rest] = waited.stdout.toString().split('\0');
      expect(pids).toContain(Number(parent));
      expect(rest).toEqual(usual.stdout.toString().split('\0').slice(1));
      expect(rest.slice(0, oddWords.length)).toEqual(oddWords);
      expect(rest.at(-1)).toContain("GC_MARK=o'k\n");
      expect(rest.at(-1)).not.toContain('GOLDCREST_LINE');
      expect(rest.at(-1)).toMatch(/first line\nlast line$/);

      // Plain words, which go without a process of `env`.
      await startWaiting(shell, username);
      const environments = [
        await shell.run(['env'], { unsetsLocale: true, usesWaitingShell }),
        await shell.run(['env'], { unsetsLocale: true }),
      ].map(({ stdout }) => stdout.toString().split('\n').sort());
      const [ofWaited, ofUsual] = environments.map((lines) => lines.filter((line) => !line.startsWith('_=')));
      expect(ofWaited).toEqual(ofUsual);
    },
  );

  it('is the command that a cancellation ends', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    const pids = await startWaiting(shell, 'gccarol');
    const abort = new AbortController();
    const running = shell.run(['sleep', '1000'], { usesWaitingShell, signal: abort.signal });
    const outcome = expect(running).rejects.toMatchObject({ code: 'TaskCanceled' });
    const lines = () => userProcesses(lab, userNamed(lab.users, 'carol')).map(({ pid, line }) => ({ pid, line }));
    const isSleep = ({ pid, line }: { pid: number; line: string }) => pids.includes(pid) && line.includes('sleep 1000');
    await vi.waitFor(() => expect(lines().some(isSleep)).toBe(true), 20_000);
    abort.abort();
    await outcome;
    expect(lines().some(isSleep)).toBe(false);
  });

  it('that the host has ended is not used, and one that waits is gone with its connection', async () => {
    const shell = ssh.shell('lab', 'gccarol');
    const ended = await startWaiting(shell, 'gccarol');
    for (const pid of ended) process.kill(pid, 'SIGKILL');
    await vi.waitFor(() => expect(ssh.poolStats()[0]).toMatchObject({ slotsInUse: 0 }), 20_000);
    expect((await shell.run(['echo', 'well'], { usesWaitingShell })).stdout.toString()).toBe('well\n');
    await vi.waitFor(() => expect(waitingShells('gccarol')).toHaveLength(1), 20_000);
    await ssh.close();
    await vi.waitFor(() => expect(waitingShells('gccarol')).toEqual([]), 20_000);
  });

  it('is told of when it starts, and when a command takes it over or it ends unused', async () => {
    const told: string[] = [];
    const observed = sshTo(systemOptions(lab.sshd), labUserCa(lab), ({ argv, username, isLasting }) => {
      const what = `${username} ${argv[2]?.includes('GOLDCREST_LINE') ? 'shell' : argv.join(' ')}`;
      told.push(`${what} ${isLasting ? 'begins' : 'is sent'}`);
      return ({ isEarly }) => void told.push(`${what} ${isEarly ? 'taken over' : 'ended'}`);
    });
    const shell = observed.shell('lab', 'gccarol');
    // A slot alone may be that of a shell whose opening is not yet answered: only one that waits leaves its connection idle.
    const isReady = () =>
      vi.waitFor(() => expect(observed.poolStats()[0]).toMatchObject({ slotsInUse: 1, connectionsIdle: 1 }), 20_000);
    for (const word of ['one', 'two']) {
      await shell.run(['echo', word], { usesWaitingShell });
      await isReady();
    }
    await observed.close();
    await vi.waitFor(() => expect(told.at(-1)).toBe('gccarol shell ended'), 20_000);
    expect(told).toEqual([
      ...['gccarol echo one is sent', 'gccarol shell begins', 'gccarol echo one ended'],
      ...['gccarol echo two is sent', 'gccarol shell taken over', 'gccarol shell begins', 'gccarol echo two ended'],
      'gccarol shell ended',
    ]);
  });

  it('is not started where a user has few channels', async () => {
    const few = sshTo(
      systemOptions(lab.sshd, { channelsPerConnectionMax: 4, connectionsPerUserMax: 1 }),
      labUserCa(lab),
    );
    const shell = few.shell('lab', 'gcdash');
    for (let round = 0; round < 3; round += 1) await shell.run(['true'], { usesWaitingShell });
    expect(few.poolStats()[0]).toMatchObject({ slotsInUse: 0 });
    await few.close();
  });
});
