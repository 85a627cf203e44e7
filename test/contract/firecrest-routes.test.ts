/** FirecREST v2's routes through the running broker: what clients send, and what they read. */
import { chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import {
  type Broker,
  type Client,
  clientOf,
  createClient,
  locationOf,
  pathQuery,
  startBroker,
  taskEnd,
} from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { upstreamRoute } from './routes-fixture.ts';
import { expectedFields, wrongFields } from './schema-fields.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const uuid = '7d8fbf6e-3a0a-4c7c-9e0b-0f3c5f6f1a2b';

let broker: Broker;
let client: Client;
let own: OwnDirectory;
let ls: string;
let stat: string;
let jobs: string;

beforeAll(async () => {
  broker = await startBroker(lab);
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(alice);
  [ls, stat, jobs] = ['/filesystem/lab/ops/ls', '/filesystem/lab/ops/stat', '/compute/lab/jobs'];
  const { path } = own;
  for (const name of ['empty', 'deep', 'deep/er']) mkdirSync(join(path, name));
  writeFileSync(join(path, 'data.txt'), 'hello', { mode: 0o640 });
  writeFileSync(join(path, '.hidden'), '');
  writeFileSync(join(path, 'deep/er/leaf'), '');
  symlinkSync('data.txt', join(path, 'link'));
  symlinkSync('deep', join(path, 'dirlink'));
  own.giveAway();
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

/** Answers exactly as upstream's schema says: no field is missing, none is of another type. */
function expectFields(route: string, body: unknown): void {
  expect(wrongFields(body, expectedFields(upstreamRoute(route).answer))).toEqual([]);
}

const script = '#!/bin/sh\n#SBATCH --hold\nexit 0\n';

async function submitHeld(): Promise<string> {
  const { status, body } = await client.post(jobs, { job: { workingDirectory: own.path, script } });
  expect(status).toBe(201);
  return body.jobId;
}

describe('success', () => {
  it('GET /status/systems has every field, with secrets masked', async () => {
    const { status, body } = await client.get('/status/systems');
    expect(status).toBe(200);
    expectFields('GET /status/systems', body);
    expect(body).toMatchObject({ systems: [{ name: 'lab', ssh: { port: lab.sshd.port }, servicesHealth: [] }] });
    expect(JSON.stringify(body)).not.toContain('not-used');
  });

  it('ops/ls lists base names with types, links, letters and local times', async () => {
    const { status, body } = await client.get(`${ls}?${pathQuery(own.path)}`);
    expect(status).toBe(200);
    expectFields('GET /filesystem/{system_name}/ops/ls', body);
    const entries = body.output as Record<string, string>[];
    expect(entries.map(({ name, type, linkTarget }) => [name, type, linkTarget])).toEqual([
      ['data.txt', '-', null],
      ['deep', 'd', null],
      ['dirlink', 'l', 'deep'],
      ['empty', 'd', null],
      ['link', 'l', 'data.txt'],
    ]);
    expect(entries[0]).toMatchObject({
      user: alice.username,
      permissions: 'rw-r-----',
      size: '5',
      lastModified: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/),
    });
  });

  it.each([
    ['a file is listed under its full path', 'data.txt', '', (path: string) => [`${path}/data.txt`]],
    ['an empty directory is an empty list', 'empty', '', () => []],
    ['a link with a trailing slash is what it points to', 'dirlink/', '', () => ['er']],
    ['recursive names are relative to the path', 'deep', '&recursive=true', () => ['er', 'er/leaf']],
    ['hidden names are shown when asked for', '', '&showHidden=true', () => expect.arrayContaining(['.hidden'])],
  ])('%s', async (_title, name, options, names) => {
    const { status, body } = await client.get(`${ls}?${pathQuery(`${own.path}/${name}`)}${options}`);
    expect(status).toBe(200);
    expect((body.output as { name: string }[]).map((entry) => entry.name)).toEqual(names(own.path));
  });

  it('numericUid shows numbers, dereference shows what links point to', async () => {
    const { body } = await client.get(`${ls}?${pathQuery(own.path)}&numericUid=true&dereference=true`);
    const link = (body.output as { name: string }[]).find(({ name }) => name === 'link');
    expect(link).toMatchObject({ type: '-', size: '5', linkTarget: null, user: String(alice.uid) });
  });

  it('ops/stat answers the ten numbers of stat(2), of the link unless told otherwise', async () => {
    const { status, body } = await client.get(`${stat}?${pathQuery(`${own.path}/data.txt`)}`);
    expect(status).toBe(200);
    expectFields('GET /filesystem/{system_name}/ops/stat', body);
    const { mode, ino, dev, nlink, uid, gid, size, mtimeMs } = statSync(join(own.path, 'data.txt'));
    expect(body.output).toMatchObject({ mode, ino, dev, nlink, uid, gid, size, mtime: Math.floor(mtimeMs / 1000) });
    const link = await client.get(`${stat}?${pathQuery(`${own.path}/link`)}`);
    expect((link.body.output as { mode: number }).mode & 0o170000).toBe(0o120000);
    const target = await client.get(`${stat}?${pathQuery(`${own.path}/link`)}&dereference=true`);
    expect(target.body.output).toEqual(body.output);
  });

  it('a job is submitted, seen while it waits, and canceled', async () => {
    const jobId = await submitHeld();
    expect(jobId).toMatch(/^\d+$/);
    const seen = await client.get(`${jobs}/${jobId}?allusers=false&account=`);
    expect(seen.status).toBe(200);
    expectFields('GET /compute/{system_name}/jobs/{job_id}', seen.body);
    expect(seen.body.jobs).toMatchObject([
      { jobId, status: { state: 'PENDING' }, nodes: 'None assigned', allocationNodes: 0, user: alice.username },
    ]);
    const canceled = await client.delete(`${jobs}/${jobId}`);
    expect([canceled.status, canceled.text]).toEqual([204, '']);
    const ended = await client.get(`${jobs}/${jobId}`);
    expectFields('GET /compute/{system_name}/jobs/{job_id}', ended.body);
    expect(ended.body.jobs[0]?.status.state).toBe('CANCELLED');
    // Canceling what has ended is no error: a client that repeats itself must not fail.
    expect((await client.delete(`${jobs}/${jobId}`)).status).toBe(204);
  });

  it('jobs are listed while they wait, by name and time window, with empty filters unset', async () => {
    const jobId = await submitHeld();
    for (const query of ['', '?allusers=true&account=', '?allusers=false&time_window=7d&jobs=1,2', '?name=sbatch']) {
      const { status, body } = await client.get(`${jobs}${query}`);
      expect(status, query).toBe(200);
      expectFields('GET /compute/{system_name}/jobs', body);
      expect(Object.keys(body)).toEqual(['jobs']);
      expect((body.jobs as { jobId: string }[]).map((job) => job.jobId)).toContain(jobId);
    }
    const { body } = await client.get(`${jobs}?name=${encodeURIComponent('no, such | name')}&account=proj01`);
    expect(body).toEqual({ jobs: [] });
    await client.delete(`${jobs}/${jobId}`);
  });

  it("a job's metadata has its script and its files", async () => {
    const jobId = await submitHeld();
    const { status, body } = await client.get(`${jobs}/${jobId}/metadata`);
    expect(status).toBe(200);
    expectFields('GET /compute/{system_name}/jobs/{job_id}/metadata', body);
    const output = `${own.path}/slurm-${jobId}.out`;
    const files = { standardInput: '/dev/null', standardOutput: output, standardError: output };
    expect(body).toEqual({ jobs: [{ jobId, script, ...files }] });
    await client.delete(`${jobs}/${jobId}`);
  });

  it('a command is attached to a running job with 204 and no body, and its output is kept with the task', async () => {
    const sleeper = '#!/bin/sh\nexec sleep 300\n';
    const { body } = await client.post(jobs, { job: { workingDirectory: own.path, script: sleeper } });
    const path = `${jobs}/${body.jobId}`;
    await vi.waitFor(async () => expect((await client.get(path)).body.jobs[0]?.status.state).toBe('RUNNING'), {
      timeout: 30_000,
      interval: 250,
    });
    const command = 'echo "in $SLURM_JOB_ID"; exit 3';
    const attached = await client.send('PUT', `${path}/attach`, { body: { command } });
    expect([attached.status, attached.text]).toEqual([204, '']);
    const headers = { prefer: 'respond-async' };
    const kept = await client.send('PUT', `${path}/attach`, { body: { command }, headers });
    const { result } = await taskEnd(client, locationOf(kept));
    expect(result).toMatchObject({ exitCode: 3, stdout: `in ${body.jobId}\n`, isTruncated: false });
    await client.delete(path);
  });

  it.each([
    ['nodes', 'GET /status/{system_name}/nodes', lab.slurm.nodes.length],
    ['partitions', 'GET /status/{system_name}/partitions', lab.slurm.partitions.length],
    ['partitions?show_hidden=true', 'GET /status/{system_name}/partitions', lab.slurm.partitions.length],
    ['reservations', 'GET /status/{system_name}/reservations', 0],
  ])('status/%s has every field of every item', async (path, route, count) => {
    const { status, body } = await client.get(`/status/lab/${path}`);
    expect(status).toBe(200);
    expectFields(route, body);
    expect(Object.values(body)).toEqual([expect.objectContaining({ length: count })]);
  });

  it('status/userinfo tells user, groups and accounts in the shapes of 2.5 and 2.6', async () => {
    const { status, body } = await client.get('/status/lab/userinfo');
    expect(status).toBe(200);
    expectFields('GET /status/{system_name}/userinfo', body);
    expect(body).toMatchObject({
      user: { id: String(alice.uid), name: alice.username },
      group: { id: String(alice.gid) },
      groups: expect.arrayContaining([expect.objectContaining({ id: String(alice.gid), default: true })]),
      accounts: alice.accounts.map((name, index) => ({ name, default: index === 0 })),
    });
  });

  it('liveness is open to everyone and counts', async () => {
    const { status, body } = await client.get('/status/liveness/', { token: null });
    expect([status, body]).toEqual([200, { healthcheckRuns: {}, lastUpdate: expect.any(Number) }]);
  });
});

describe('what clients send', () => {
  const spellings = Object.entries(upstreamRoute('POST /compute/{system_name}/jobs').body)
    .filter(([field]) => field.startsWith('job.'))
    .flatMap(([field, { spellings: all }]) => all.map((spelling) => [spelling, field.replace('job.', '')] as const));

  it.each(spellings)('%s is read as %s', async (spelling, field) => {
    const values: Record<string, unknown> = { env: { A: '1' }, scriptPath: '/tmp/s', workingDirectory: '/tmp' };
    const value = values[field] ?? '/tmp/x';
    const base: Record<string, unknown> = {
      workingDirectory: own.path,
      script,
      partition: 'no-such',
      [field]: undefined,
    };
    if (field === 'scriptPath') delete base.script;
    // Canceled before anything else happens to it: what was read is all that matters here.
    const job = { ...base, [spelling]: value };
    const { status, body, text } = await client.post(jobs, { job }, { headers: { prefer: 'respond-async' } });
    expect(status, text).toBe(202);
    expect((body.input as { job: Record<string, unknown> }).job[field]).toEqual(value);
    expect((await taskEnd(client, `/tasks/${body.id}`)).state).toBe('failed');
  });

  it('defect 22: env may be a list, keys nobody knows are ignored, and null and "" are unset', async () => {
    const job = { workingDirectory: own.path, script, env: ['A=1,2'], account: '', name: null, bogus: { deep: [1] } };
    const answer = await client.post(jobs, { job, extra: 1 }, { headers: { prefer: 'respond-async' } });
    expect(answer.body.input).toMatchObject({ job: { env: { A: '1,2' }, account: null, name: null } });
    const { result } = await taskEnd(client, locationOf(answer));
    expect((await client.delete(`${jobs}/${result.jobId}`)).status).toBe(204);
  });

  it.each([
    ['true', true],
    ['True', true],
    ['1', true],
    ['yes', true],
    ['on', true],
    ['false', false],
    ['0', false],
    ['no', false],
    ['off', false],
    ['', false],
  ])('showHidden=%s is %s', async (text, isShown) => {
    const { status, body } = await client.get(`${ls}?${pathQuery(own.path)}&showHidden=${text}&nonsense=1`);
    expect(status).toBe(200);
    expect((body.output as { name: string }[]).some(({ name }) => name === '.hidden')).toBe(isShown);
  });

  it('raw slashes, plus signs and percent signs of a path arrive as they were meant', async () => {
    const name = 'a+b 50% é';
    writeFileSync(join(own.path, name), 'x');
    chownSync(join(own.path, name), alice.uid, alice.gid);
    const query = `path=${own.path}/${encodeURIComponent(name)}`;
    expect((await client.get(`${stat}?${query}`)).body.output).toMatchObject({ size: 1 });
  });

  it.each([
    ['/FILESYSTEM/Lab/Ops/Stat', 'stat'],
    ['/filesystem/LAB/ops/LS', 'ls'],
  ])('%s: the case of a path does not matter', async (path) => {
    expect((await client.get(`${path}?${pathQuery(own.path)}`)).status).toBe(200);
  });

  it.each([
    ['/status/systems/', '/status/systems'],
    ['/status/liveness', '/status/liveness/'],
    ['/compute/lab/jobs/', '/compute/lab/jobs'],
    ['/filesystem/lab/ops/stat/?path=/tmp', '/filesystem/lab/ops/stat?path=/tmp'],
  ])('%s redirects to %s, method and query kept', async (from, to) => {
    const { status, headers } = await client.get(from);
    expect([status, headers.get('location')]).toEqual([307, to]);
  });

  it('a token that lives ten seconds more is good', async () => {
    const short = createClient(broker.url, await requestToken(lab.oidc, 'alice', { expiresInSeconds: 10 }));
    expect((await short.get('/status/systems')).status).toBe(200);
  });
});

describe('headers of every answer', () => {
  it.each([
    ['a success', '/status/systems', 200],
    ['a missing path', '/nowhere', 404],
    ['a failed task', '/compute/lab/jobs/999999999', 404],
  ])('%s carries version, time and the ids of the caller', async (_title, path, status) => {
    const headers = { 'x-request-id': uuid, 'x-correlation-id': uuid.replaceAll('-', '') };
    const answer = await client.get(path, { headers });
    expect(answer.status).toBe(status);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'f7t-appversion': expect.stringMatching(/^2\.5\.\d+$/),
      'f7t-timestamp': expect.stringMatching(/^\d{10}(\.\d+)?$/),
      'x-request-id': uuid,
      'x-correlation-id': uuid.replaceAll('-', ''),
    });
    expect(Object.keys(Object.fromEntries(answer.headers))).not.toContain('auth-token');
  });

  it('an id that is no UUID is replaced and never refused', async () => {
    const { status, headers } = await client.get('/status/systems', { headers: { 'x-request-id': 'not a uuid' } });
    expect(status).toBe(200);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
  });

  it('f7t-authusername tells who asked, on errors only', async () => {
    expect((await client.get('/status/systems')).headers.get('f7t-authusername')).toBeNull();
    const failed = await client.get('/compute/lab/jobs/999999999');
    expect(failed.headers.get('f7t-authusername')).toBe(alice.username);
  });
});
