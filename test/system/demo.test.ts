/** `npm run demo` as a newcomer meets it: as root and as a plain user, to its end, interrupted, and where something is missing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { labFolders, processesOfLab } from '../../lab/lab-folder.ts';
import { plainEnvironment } from '../../lab/plain-environment.ts';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { waitUntil } from '../../lab/wait-until.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const alice = userNamed(inject('lab').users, 'alice');
/** What the demo needs of a checkout. */
const neededOfCheckout = ['api', 'lab', 'node_modules', 'shared', 'workers', 'package.json', 'tsconfig.json'];

let readableCheckout = repository;
const scratch = mkdtempSync(join(tmpdir(), 'gc-demo-test-'));
const running = new Set<ChildProcess>();

beforeAll(async () => {
  await chmod(scratch, 0o755);
  const isReadable = await runCommand('test', ['-r', join(repository, 'lab/demo.ts')], alice).then(
    () => true,
    () => false,
  );
  if (isReadable) return;
  readableCheckout = join(scratch, 'checkout');
  for (const name of neededOfCheckout) {
    cpSync(join(repository, name), join(readableCheckout, name), { recursive: true, verbatimSymlinks: true });
  }
}, 120_000);

afterEach(() => {
  for (const child of running) child.kill('SIGTERM');
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Demo {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves to the exit code when it has ended. */
  ended: Promise<number | null>;
}

interface Who {
  checkout: string;
  uid?: number;
  gid?: number;
  env: Record<string, string>;
}

const asRoot: Who = { checkout: repository, env: { HOME: '/root' } };
const asAlice = (): Who => ({ checkout: readableCheckout, uid: alice.uid, gid: alice.gid, env: { HOME: alice.home } });

function startDemo({ checkout, env, ...identity }: Who, args: readonly string[]): Demo {
  const child = spawn(process.execPath, ['--import', 'tsx', 'lab/demo.ts', ...args], {
    ...identity,
    cwd: checkout,
    env: { ...plainEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said.stderr += chunk;
  });
  const ended = once(child, 'close').then(() => {
    running.delete(child);
    return child.exitCode;
  });
  return { child, stdout: () => said.stdout, stderr: () => said.stderr, ended };
}

/** Resolves when the demo has printed this; throws at once when it ends before. */
async function printed(demo: Demo, text: string): Promise<void> {
  const arrival = waitUntil(`the demo to print '${text}'`, () => demo.stdout().includes(text), { timeoutMs: 110_000 });
  const end = demo.ended.then((code) => {
    if (!demo.stdout().includes(text))
      throw new Error(`The demo ended with ${code}:\n${demo.stdout()}${demo.stderr()}`);
  });
  await Promise.race([arrival, end]);
}

/** The folder that the demo works in, by the owner noted there. */
function folderOf(demo: Demo): string {
  const isOwn = (folder: string) => {
    const file = join(folder, 'owner.json');
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).pid === demo.child.pid;
  };
  const folder = labFolders().find(isOwn);
  if (folder === undefined) throw new Error('The demo has no folder');
  return folder;
}

function expectNothingLeft(folder: string): void {
  expect(processesOfLab(folder)).toEqual([]);
  expect(existsSync(folder)).toBe(false);
}

/** What the `process` scheduler, told nothing else, notes of each job in the home of its user. */
function jobsKeptInHome(): string[] {
  const jobs = join(alice.home, '.local/state/goldcrest/jobs');
  if (!existsSync(jobs)) return [];
  const files = readdirSync(jobs).map((id) => join(jobs, id, 'meta'));
  return files.filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8'));
}

describe.each([
  ['root', () => asRoot],
  ['a plain user', asAlice],
])('as %s', (_, who) => {
  it('runs a real job through the API, shows its output, and leaves nothing behind', async () => {
    const homeBefore = readdirSync(alice.home);
    const demo = startDemo(who(), ['--once', '--scheduler', 'process']);
    await printed(demo, 'One job');
    const folder = folderOf(demo);
    expect({ code: await demo.ended, stderr: demo.stderr() }).toEqual({ code: 0, stderr: '' });
    const said = demo.stdout();
    expect(said).toContain(`I am gcalice, in ${folder}/work.`);
    expect(said).toMatch(/COMPLETED after .* exit code 0/);
    expect(said).toMatch(/-rw-r--r-- {2}gcalice .* result\.txt/);
    expect(said).toMatch(/completed, 2 entries/);
    expect(said).not.toContain('\x1b');
    expectNothingLeft(folder);
    // Other tests work in the same home at the same time, under names of their own.
    const isOthers = (name: string) =>
      homeBefore.includes(name) || /^(goldcrest-test-|\.goldcrest-transfer-)/.test(name);
    expect(readdirSync(alice.home).filter((name) => !isOthers(name))).toEqual([]);
    expect(jobsKeptInHome().filter((meta) => meta.includes(folder))).toEqual([]);
  });

  it('stays up, answers each line it offers for pasting, and SIGINT leaves nothing behind', async () => {
    const demo = startDemo(who(), ['--scheduler', 'process']);
    // The last line of all is printed whole, as every line is.
    await printed(demo, `-H 'Prefer: wait=30'`);
    const folder = folderOf(demo);
    const lines = demo.stdout().slice(demo.stdout().indexOf('\nURL='));
    const { stdout } = await runCommand('bash', ['-eu'], { input: lines });
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers).toMatchObject([
      { systems: [{ name: 'lab' }] },
      { output: [{ name: 'hello.out' }, { name: 'result.txt' }] },
      { jobId: expect.stringMatching(/^\d+$/) },
      { jobs: [{ name: 'hello', status: { state: 'COMPLETED', exitCode: 0 } }] },
      { operation: 'filesystem.ls', id: expect.any(String) },
      { operation: 'filesystem.ls', state: 'completed' },
    ]);
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(0);
    expect(demo.stdout()).toContain('Stopped: every process has ended');
    expectNothingLeft(folder);
  });
});

it('runs the job under Slurm where root has it', async () => {
  const demo = startDemo(asRoot, ['--once', '--scheduler', 'slurm']);
  await printed(demo, 'One job');
  const folder = folderOf(demo);
  expect(await demo.ended, demo.stderr()).toBe(0);
  expect(demo.stdout()).toMatch(/COMPLETED after .* exit code 0/);
  expectNothingLeft(folder);
});

it('leaves nothing behind when SIGTERM comes while it starts', async () => {
  const demo = startDemo(asRoot, ['--scheduler', 'process']);
  await printed(demo, 'Redis');
  const folder = folderOf(demo);
  demo.child.kill('SIGTERM');
  expect(await demo.ended).toBe(143);
  expectNothingLeft(folder);
});

it('ends, and leaves nothing behind, when nobody reads its output any more', async () => {
  const demo = startDemo(asRoot, ['--scheduler', 'process']);
  await printed(demo, 'Redis');
  const folder = folderOf(demo);
  demo.child.stdout?.destroy();
  await once(demo.child, 'exit');
  expectNothingLeft(folder);
});

describe('where it cannot go on', () => {
  it('names the packages that are missing and the command that installs them', async () => {
    const bin = join(scratch, 'bin');
    await runCommand('mkdir', [bin]);
    for (const program of ['bash', 'cat', 'dirname', 'sort', 'ssh-keygen']) {
      const places = ['/usr/bin', '/bin'].map((folder) => join(folder, program));
      symlinkSync(places.find((path) => existsSync(path)) ?? program, join(bin, program));
    }
    const demo = startDemo({ ...asRoot, env: { HOME: '/root', PATH: bin } }, ['--once']);
    expect(await demo.ended).toBe(1);
    expect(demo.stderr()).toContain('redis-server. On Debian 12, as root: apt-get install redis-server');
  });

  it('tells a plain user who asks for Slurm that it takes root', async () => {
    const demo = startDemo(asAlice(), ['--once', '--scheduler', 'slurm']);
    expect(await demo.ended).toBe(1);
    expect(demo.stderr()).toBe('--scheduler slurm: a Slurm cluster can be started by root only\n');
  });

  it('answers an unknown scheduler or option with what there is', async () => {
    const [scheduler, option] = [startDemo(asRoot, ['--scheduler', 'pbs']), startDemo(asRoot, ['--ones'])];
    expect([await scheduler.ended, await option.ended]).toEqual([1, 1]);
    expect(scheduler.stderr()).toContain("--scheduler takes slurm or process, not 'pbs'");
    expect(option.stderr()).toContain('Usage: npm run demo');
  });

  it('explains itself with --help and exit code 0', async () => {
    const demo = startDemo(asRoot, ['--help']);
    expect(await demo.ended).toBe(0);
    expect(demo.stdout()).toContain('--scheduler slurm|process');
  });
});
