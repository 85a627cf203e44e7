/** Work on files that goes on as a job: cp, mv, rm, compress, extract, through a real sshd, answered from the task. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { descendantsOf, isRunning, type ProcessStat } from '../../lab/processes.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { userProcesses } from '../user-processes.ts';
import { type Broker, type Client, clientOf, pathQuery, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { hostileNames } from './hostile-names.ts';
import { jobEnd, jobOf, taskIdOf, watchLeftovers } from './transfer-fixture.ts';

const lab = inject('lab');
const transfer = '/filesystem/lab/transfer';
let broker: Broker;
let client: Client;
let alice: LabUser;
let own: OwnDirectory;
let leftovers: () => Promise<string[]>;

beforeAll(async () => {
  broker = await startBroker(lab, { scheduler: 'process' });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  alice = userNamed(lab.users, 'alice');
  own = homeDirectory(alice);
  leftovers = watchLeftovers(client, lab, alice, own.path);
});

afterEach(async () => {
  // A supervisor ends right after it has said that its work did.
  await vi.waitFor(async () => expect(await leftovers()).toEqual([]), { timeout: 30_000 });
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

function at(name: string): string {
  return join(own.path, name);
}

const put = (name: string, bytes: Buffer | string): string => own.put(name, bytes);

describe('cp', () => {
  it('answers as FirecREST does, at once, and the job and its logs can be asked for', async () => {
    const path = put('a.txt', 'hello');
    const answer = await client.post(`${transfer}/cp`, { sourcePath: path, target_path: at('b.txt'), account: null });
    expect(answer.status, answer.text).toBe(201);
    const job = jobOf(answer);
    expect(answer.body).toEqual({
      transferJob: {
        jobId: expect.stringMatching(/^\d{13,16}$/),
        system: 'lab',
        workingDirectory: expect.stringMatching(/^\//),
        logs: { outputLog: expect.stringMatching(/\.log$/), errorLog: expect.stringMatching(/\.log$/) },
      },
    });
    expect(Number(job.jobId)).toBeGreaterThan(1e12);
    const end = await jobEnd(client, job);
    expect(end).toEqual({ state: 'COMPLETED', exitCode: 0, output: 'Files were successfully copied.\n', error: '' });
    expect(readFileSync(at('b.txt'), 'utf8')).toBe('hello');
    expect(statSync(at('b.txt')).mtimeMs).toBe(statSync(path).mtimeMs);
    const { body } = await client.get(`/compute/lab/jobs/${job.jobId}/metadata`);
    expect(body.jobs).toEqual([
      {
        jobId: job.jobId,
        script: null,
        standardInput: '/dev/null',
        standardOutput: job.logs.outputLog,
        standardError: job.logs.errorLog,
      },
    ]);
  });

  it('keeps links as links unless they are to be followed, and goes into a directory that is there', async () => {
    mkdirSync(at('tree'));
    writeFileSync(at('tree/file'), 'x');
    symlinkSync('file', at('tree/link'));
    mkdirSync(at('into'));
    own.giveAway();
    for (const dereference of [false, true]) {
      const targetPath = dereference ? at('followed') : at('into');
      const answer = await client.post(`${transfer}/cp`, { path: at('tree'), targetPath, dereference });
      expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'COMPLETED' });
    }
    const kinds = (folder: string) =>
      readdirSync(at(folder), { withFileTypes: true }).map((entry) => [entry.name, entry.isSymbolicLink()]);
    expect(kinds('into/tree')).toEqual([
      ['file', false],
      ['link', true],
    ]);
    expect(kinds('followed')).toEqual([
      ['file', false],
      ['link', false],
    ]);
  });

  it('defect 3: that fails is a failed job with the tool’s words in its error log, and a failed task with a code', async () => {
    const answer = await client.post(`${transfer}/cp`, { path: at('none'), targetPath: at('other') });
    expect(answer.status).toBe(201);
    const end = await jobEnd(client, jobOf(answer));
    expect(end).toMatchObject({ state: 'FAILED', exitCode: 1, output: '' });
    expect(end.error).toMatch(/cp: cannot stat .*none.*: No such file or directory/);
    const { body } = await client.get(`/tasks/${taskIdOf(answer)}`);
    expect([body.state, body.error.code]).toEqual(['failed', 'FileNotFound']);
  });

  it('is the caller’s fault where it cannot be done: onto itself, into itself, a directory over a file', async () => {
    mkdirSync(at('whole/inner'), { recursive: true });
    const file = put('file', 'x');
    const codes = [
      ['cp', file, file],
      ['cp', at('whole'), at('whole/copy')],
      ['mv', at('whole'), at('whole/inner')],
      ['cp', at('whole'), file],
    ].map(async ([tool, path, targetPath]) => {
      const answer = await client.post(`${transfer}/${tool}`, { path, targetPath });
      await jobEnd(client, jobOf(answer));
      return (await client.get(`/tasks/${taskIdOf(answer)}`)).body.error.code;
    });
    expect(await Promise.all(codes)).toEqual(Array(codes.length).fill('InvalidRequest'));
  });

  it.each(Object.entries(hostileNames('touch goldcrest-was-here')))(
    'defect 4: copies a name with %s',
    async (_what, name) => {
      const path = put(name, name);
      mkdirSync(at('copies'), { recursive: true });
      own.giveAway();
      const targetPath = join(own.path, 'copies', name);
      const answer = await client.post(`${transfer}/cp`, { path, targetPath });
      expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'COMPLETED', error: '' });
      expect(readFileSync(targetPath, 'utf8')).toBe(name);
    },
  );
});

describe('mv and rm', () => {
  it('move and remove, with the words that clients look for', async () => {
    const path = put('here', 'x');
    const moved = await client.post(`${transfer}/mv`, { path, targetPath: at('there') });
    expect(moved.status).toBe(201);
    expect(await jobEnd(client, jobOf(moved))).toMatchObject({ output: 'Files were successfully moved.\n' });
    expect([existsSync(path), readFileSync(at('there'), 'utf8')]).toEqual([false, 'x']);
    const removed = await client.delete(`${transfer}/rm?${pathQuery(at('there'))}&account=`);
    expect(removed.status, removed.text).toBe(200);
    expect(await jobEnd(client, jobOf(removed))).toMatchObject({ output: 'Files were successfully deleted.\n' });
    expect(existsSync(at('there'))).toBe(false);
  });

  it('never remove a file system or what it lies in', async () => {
    const answer = await client.delete(
      `${transfer}/rm?${pathQuery(`${alice.home}/..//${alice.home.split('/').at(-1)}`)}`,
    );
    expect((await jobEnd(client, jobOf(answer))).error).toMatch(/refusing to remove/);
    expect(existsSync(alice.home)).toBe(true);
  });
});

describe('compress and extract', () => {
  it('pack and unpack, and an archive that failed leaves the old one', async () => {
    mkdirSync(at('data'));
    writeFileSync(at('data/one'), '1');
    writeFileSync(at('data/two'), '2');
    mkdirSync(at('out'));
    own.giveAway();
    const packed = await client.post(`${transfer}/compress`, { path: at('data'), target_path: at('d.tgz') });
    expect([packed.status, (await jobEnd(client, jobOf(packed))).output]).toEqual([
      201,
      'Files were successfully compressed.\n',
    ]);
    const unpacked = await client.post(`${transfer}/extract`, { path: at('d.tgz'), targetPath: at('out') });
    expect((await jobEnd(client, jobOf(unpacked))).output).toBe('Files were successfully extracted.\n');
    expect(readFileSync(at('out/data/two'), 'utf8')).toBe('2');
    const before = readFileSync(at('d.tgz'));
    const failed = await client.post(`${transfer}/compress`, { path: at('gone'), targetPath: at('d.tgz') });
    expect(await jobEnd(client, jobOf(failed))).toMatchObject({ state: 'FAILED', output: '' });
    expect(readFileSync(at('d.tgz')).equals(before)).toBe(true);
  });
});

/** The processes that pack below the test's directory, the one that compresses among them. Throws until they are at work. */
function packing(): ProcessStat[] {
  const tar = userProcesses(lab, alice).find(({ program, line }) => program === 'tar' && line.includes(own.path));
  const work = tar === undefined ? [] : descendantsOf([tar.parentPid]);
  const lines = userProcesses(lab, alice).filter(({ pid }) => work.some((process) => process.pid === pid));
  if (!lines.some(({ program }) => program === 'gzip')) throw new Error('it is not packed yet');
  return work;
}

describe('long work', () => {
  it('defect 20: ends with every process of it when its job is deleted', async () => {
    const big = at('big');
    execFileSync('truncate', ['-s', '40G', big]);
    own.giveAway();
    const answer = await client.post(`${transfer}/compress`, { path: big, targetPath: at('big.tgz') });
    const job = jobOf(answer);
    const work = await vi.waitFor(() => packing(), { timeout: 30_000 });
    const running = await client.get(`/compute/lab/jobs/${job.jobId}`);
    expect(running.body.jobs[0]?.status.state).toBe('RUNNING');
    expect((await client.delete(`/compute/lab/jobs/${job.jobId}`)).status).toBe(204);
    const end = await jobEnd(client, job);
    expect(end).toMatchObject({ state: 'CANCELLED', output: '' });
    expect(work.filter(({ pid, startTick }) => isRunning(pid, startTick))).toEqual([]);
    expect(existsSync(at('big.tgz'))).toBe(false);
    expect((await taskEnd(client, `/tasks/${taskIdOf(answer)}`)).state).toBe('canceled');
  });
});

it('the job of a transfer is nobody else’s', async () => {
  const path = put('mine', 'x');
  const answer = await client.post(`${transfer}/cp`, { path, targetPath: at('mine2') });
  const job = jobOf(answer);
  await jobEnd(client, job);
  const bob = await clientOf(lab.oidc, broker.url, 'bob');
  for (const request of [
    bob.get(`/compute/lab/jobs/${job.jobId}`),
    bob.get(`/compute/lab/jobs/${job.jobId}/metadata`),
    bob.delete(`/compute/lab/jobs/${job.jobId}`),
    client.get('/compute/lab/jobs/1999999999999'),
  ]) {
    const { status, body } = await request;
    expect([status, body.message]).toEqual([404, 'Job not found.']);
  }
});
