/** One request's whole way, on both faces: API, queue, worker, SSH, Slurm and back, checked against what Slurm itself says. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { userNamed } from '../../lab/users.ts';
import { runsProgram } from '../user-processes.ts';
import {
  type Answer,
  type Broker,
  type Client,
  clientOf,
  locationOf,
  type SlurmTruth,
  slurmTruth,
  startBroker,
  taskEnd,
} from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

const jobsPath = '/compute/lab/jobs';
const quick = '#!/bin/sh\nexit 0\n';
const held = '#!/bin/sh\n#SBATCH --hold\nexit 0\n';
const respondAsync = { headers: { prefer: 'respond-async' } };

let lab: Lab;
let broker: Broker;
let client: Client;
let own: OwnDirectory;
let truth: SlurmTruth;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'slurm', 'oidc'], handlesSignals: false });
  broker = await startBroker(lab, { workers: 2 });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(userNamed(lab.users, 'alice'));
  truth = slurmTruth(lab.slurm.confPath);
}, 90_000);

afterAll(async () => {
  lab?.slurm.controller.resume();
  own?.remove();
  await broker?.stop();
  await lab?.stop();
}, 60_000);

function submit(script: string, more: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
  return client.post(jobsPath, { job: { workingDirectory: own.path, script, ...more } }, { headers });
}

async function submitted(script: string, more: Record<string, unknown> = {}): Promise<string> {
  const { status, body, text } = await submit(script, more);
  expect(status, text).toBe(201);
  return body.jobId;
}

function jobEnd(jobId: string, state: string): Promise<void> {
  return vi.waitFor(
    async () => {
      const { body } = await client.get(`${jobsPath}/${jobId}`);
      expect(body.jobs[0]?.status.state).toBe(state);
    },
    { timeout: 60_000, interval: 200 },
  );
}

describe('a job', () => {
  it('runs, and its output, its state and its exit code come back', async () => {
    const output = join(own.path, 'out.txt');
    const jobId = await submitted('#!/bin/sh\necho "hello from $SLURM_JOB_ID"\nexit 3\n', { standardOutput: output });
    await jobEnd(jobId, 'FAILED');
    const { body } = await client.get(`${jobsPath}/${jobId}`);
    expect(body.jobs[0]?.status).toMatchObject({ exitCode: 3, interruptSignal: 0 });
    expect(readFileSync(output, 'utf8')).toBe(`hello from ${jobId}\n`);
    await vi.waitFor(async () => expect(await truth.accountedState(jobId)).toBe('FAILED'), { timeout: 30_000 });
  });

  it('is visible by its id the moment it is submitted, five times in a row, and leaves when it is canceled', async () => {
    const jobId = await submitted(held);
    for (let look = 0; look < 5; look += 1) {
      const { status, body } = await client.get(`${jobsPath}/${jobId}`);
      expect([status, body.jobs.map((job) => job.jobId)]).toEqual([200, [jobId]]);
    }
    expect((await client.delete(`${jobsPath}/${jobId}`)).status).toBe(204);
    await jobEnd(jobId, 'CANCELLED');
    await vi.waitFor(async () => expect(await truth.accountedState(jobId)).toBe('CANCELLED'), { timeout: 30_000 });
  });

  it('of an array is answered as a whole and by element, and an element ends alone', async () => {
    const jobId = await submitted('#!/bin/sh\n#SBATCH --array=1-3\nexec sleep 300\n');
    expect(jobId).toMatch(/^\d+$/);
    const states = async (id: string) => {
      const { body, text } = await client.get(`${jobsPath}/${encodeURIComponent(id)}`);
      expect(body.jobs, text).toBeDefined();
      return Object.fromEntries(body.jobs.map((job) => [job.jobId, job.status.state]));
    };
    const soon = (look: () => Promise<void>) => vi.waitFor(look, { timeout: 30_000, interval: 200 });
    const running = { [`${jobId}_1`]: 'RUNNING', [`${jobId}_2`]: 'RUNNING', [`${jobId}_3`]: 'RUNNING' };
    await soon(async () => expect(await states(jobId)).toEqual(running));
    expect((await client.delete(`${jobsPath}/${jobId}_2`)).status).toBe(204);
    await soon(async () => expect(await states(`${jobId}_2`)).toEqual({ [`${jobId}_2`]: 'CANCELLED' }));
    expect(await states(`${jobId}_[2-3]`)).toEqual({ [`${jobId}_2`]: 'CANCELLED', [`${jobId}_3`]: 'RUNNING' });
    expect((await client.delete(`${jobsPath}/${jobId}`)).status).toBe(204);
    await soon(async () => expect(new Set(Object.values(await states(jobId)))).toEqual(new Set(['CANCELLED'])));
  });

  it.each(['a|b|c', 'x;y', `it's "quoted"`, 'ünïcødé 漢字', '-n 5', '%j \\n'])('keeps its name %s', async (name) => {
    const jobId = await submitted(held, { name });
    const { body } = await client.get(`${jobsPath}/${jobId}`);
    expect(body.jobs.map((job) => job.name)).toEqual([name]);
    expect((await client.delete(`${jobsPath}/${jobId}`)).status).toBe(204);
  });

  it('finds in its environment every value as it was sent', async () => {
    const env = {
      COMMA: 'a,b=c,d',
      QUOTES: `"it's" \`x\` \\`,
      LINES: 'one\ntwo\n\nthree\n',
      COMMAND: '$(id) $HOME; exit 9',
      JSON: '{"url": "http://h:1/?a=b&c", "list": [1, 2]}',
      UNICODE: '漢字 🦜',
      EMPTY: '',
      SLURM_LABEL: 'mine, too',
      SBATCH_NONSENSE: 'x,y',
      LC_ALL: 'C.UTF-8',
      TZ: 'Europe/Zurich',
    };
    const output = join(own.path, 'env.txt');
    const script = '#!/bin/sh\nenv -0 >"$PWD/env.part" && mv "$PWD/env.part" "$PWD/env.txt"\n';
    await submitted(script, { env });
    await vi.waitFor(() => expect(existsSync(output)).toBe(true), { timeout: 60_000, interval: 100 });
    const pairs = readFileSync(output, 'utf8').split('\0');
    const found = Object.fromEntries(pairs.map((pair) => [pair.replace(/=.*/s, ''), pair.replace(/^[^=]*=/, '')]));
    expect(found).toMatchObject(env);
  });

  it('may be a script that lies on the cluster', async () => {
    const scriptPath = join(own.path, `it's a script.sh`);
    writeFileSync(scriptPath, '#!/bin/sh\n#SBATCH --job-name=of-the-file\nexit 0\n', { mode: 0o644 });
    const { status, body, text } = await client.post(jobsPath, { job: { workingDirectory: own.path, scriptPath } });
    expect(status, text).toBe(201);
    await jobEnd(body.jobId, 'COMPLETED');
    expect((await client.get(`${jobsPath}/${body.jobId}`)).body.jobs[0]?.name).toBe('of-the-file');
  });

  it('of somebody whom the scheduler does not know is refused in plain words', async () => {
    const carol = await clientOf(lab.oidc, broker.url, 'carol');
    const answer = await carol.post(jobsPath, { job: { workingDirectory: '/tmp', script: quick } });
    expect(answer.status, answer.text).toBe(400);
    expect(answer.body).toMatchObject({ code: 'InvalidJob', message: expect.stringMatching(/Invalid account/) });
  });

  it('is canceled by its owner alone', async () => {
    const jobId = await submitted(held);
    const bob = await clientOf(lab.oidc, broker.url, 'bob');
    expect((await bob.delete(`${jobsPath}/${jobId}`)).status).toBe(403);
    expect((await client.get(`${jobsPath}/${jobId}`)).body.jobs[0]?.status.state).toBe('PENDING');
    expect((await client.delete(`${jobsPath}/${jobId}`)).status).toBe(204);
  });
});

describe('a task', () => {
  it('answers respond-async at once with its place, and ends with the result there', async () => {
    const answer = await submit(quick, {}, respondAsync.headers);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('preference-applied')).toBe('respond-async');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const task = await taskEnd(client, locationOf(answer));
    expect(task).toMatchObject({ state: 'completed', operation: 'compute.submit-job', system: 'lab', error: null });
    expect(await truth.jobsWithComment('gcalice', String(task.id))).toHaveLength(1);
    const again = await client.get(locationOf(answer));
    const etag = again.headers.get('etag') ?? '';
    expect((await client.get(locationOf(answer), { headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  it('runs each of the six operations, with the same results as on the FirecREST face', async () => {
    const run = async (operation: string, input: Record<string, unknown>, system: string | null = 'lab') => {
      const answer = await client.post('/tasks', { operation, ...(system === null ? {} : { system }), input });
      expect(answer.status, answer.text).toBe(202);
      const task = await taskEnd(client, locationOf(answer));
      expect(task.state, JSON.stringify(task.error)).toBe('completed');
      return task.result;
    };
    const path = join(own.path, 'six'); // no job writes there meanwhile
    mkdirSync(path);
    own.giveAway();
    const query = `?path=${encodeURIComponent(path)}`;
    expect((await run('filesystem.stat', { path })).mode).toBe(0o40755);
    expect((await run('filesystem.ls', { path })).entries).toEqual(
      (await client.get(`/filesystem/lab/ops/ls${query}`)).body.output,
    );
    const { jobId } = await run('compute.submit-job', { job: { workingDirectory: path, script: held } });
    expect((await run('compute.get-job', { jobId })).jobs).toMatchObject([{ jobId, status: { state: 'PENDING' } }]);
    expect(await run('compute.cancel-job', { jobId })).toEqual({ jobId });
    await jobEnd(String(jobId), 'CANCELLED');
    expect(await run('status.systems', {}, null)).toEqual((await client.get('/status/systems')).body);
  });

  it('that fails says so in its record, in the words the FirecREST face would use', async () => {
    const answer = await client.post('/tasks', {
      operation: 'filesystem.stat',
      system: 'lab',
      input: { path: '/tmp/none' },
    });
    const task = await taskEnd(client, locationOf(answer));
    expect(task.state).toBe('failed');
    const direct = await client.get('/filesystem/lab/ops/stat?path=/tmp/none');
    expect(task.error).toMatchObject({ code: 'FileNotFound', message: direct.body.message, retryable: false });
  });
});

describe('an Idempotency-Key', () => {
  it('makes one job of twenty requests at the same time, and all of them are told its id', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all(Array.from({ length: 20 }, () => submit(held, {}, headers)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    const jobIds = [...new Set(answers.map(({ body }) => body.jobId))];
    expect(jobIds).toHaveLength(1);
    const replies = answers.map((answer) => answer.headers.get('idempotency-key-reply')).sort();
    expect(replies).toEqual([...Array.from({ length: 19 }, () => 'hit'), 'miss']);
    const later = await submit(held, {}, headers);
    expect([later.status, later.body.jobId]).toEqual([201, jobIds[0]]);
    // What Slurm has: one job under the key of the one task.
    const native = await client.post(
      '/tasks',
      { operation: 'compute.submit-job', system: 'lab', input: { job: { workingDirectory: own.path, script: held } } },
      { headers },
    );
    expect([native.status, native.headers.get('idempotency-key-reply')]).toEqual([202, 'hit']);
    expect(await truth.jobsWithComment('gcalice', native.body.id)).toEqual([
      `${jobIds[0]}|goldcrest:${native.body.id}`,
    ]);
    await client.delete(`${jobsPath}/${jobIds[0]}`);
  });

  it('is refused for another payload, and belongs to its user alone', async () => {
    const headers = { 'idempotency-key': `"${randomUUID()}"` };
    const first = await submit(held, {}, headers);
    const other = await submit(held, { name: 'another' }, headers);
    expect(other.status).toBe(422);
    expect(other.body.message).toMatch(/another payload/);
    const bob = await clientOf(lab.oidc, broker.url, 'bob');
    const foreign = await bob.post(
      jobsPath,
      { job: { workingDirectory: '/tmp', script: held, name: 'x' } },
      { headers },
    );
    expect(foreign.status, foreign.text).toBe(201);
    expect(foreign.body.jobId).not.toBe(first.body.jobId);
    await Promise.all([
      client.delete(`${jobsPath}/${first.body.jobId}`),
      bob.delete(`${jobsPath}/${foreign.body.jobId}`),
    ]);
  });
});

describe('with a controller that does not answer', () => {
  const resumed = async <T>(work: () => Promise<T>): Promise<T> => {
    lab.slurm.controller.pause();
    try {
      return await work();
    } finally {
      lab.slurm.controller.resume();
    }
  };

  async function expectOneJob(answer: Answer): Promise<string> {
    const startedAt = Date.now();
    const task = await taskEnd(client, locationOf(answer));
    // Soon after the controller goes on; the slow way, by a look for the key, takes 10 s and more.
    expect(Date.now() - startedAt).toBeLessThan(8_000);
    expect(task.state, JSON.stringify(task.error)).toBe('completed');
    expect(await truth.jobsWithComment('gcalice', task.id)).toEqual([`${task.result.jobId}|goldcrest:${task.id}`]);
    return String(task.result.jobId);
  }

  it('a held submission is 408 with its task, which ends with one job; the same key then joins it', async () => {
    const headers = { 'idempotency-key': randomUUID(), prefer: 'wait=1' };
    const answer = await resumed(() => submit(held, {}, headers));
    expect(answer.status).toBe(408);
    expect(answer.body).toMatchObject({ code: 'HoldTimeout', message: expect.stringMatching(/goes on as task/) });
    const jobId = await expectOneJob(answer);
    const repeat = await submit(held, {}, { 'idempotency-key': headers['idempotency-key'] });
    expect([repeat.status, repeat.body.jobId]).toEqual([201, jobId]);
    await client.delete(`${jobsPath}/${jobId}`);
  });

  it('a submission goes on when its client goes away, and a repeat finds it', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    await resumed(async () => {
      const leaving = new AbortController();
      const gone = client
        .post(jobsPath, { job: { workingDirectory: own.path, script: held } }, { headers, signal: leaving.signal })
        .catch((error: Error) => error.name);
      const alice = userNamed(lab.users, 'alice');
      await vi.waitFor(() => expect(runsProgram(lab, alice, 'sbatch')).toBe(true), { timeout: 30_000 });
      leaving.abort();
      expect(await gone).toBe('AbortError');
    });
    const repeat = await submit(held, {}, { ...headers, prefer: 'respond-async' });
    expect(repeat.headers.get('idempotency-key-reply')).toBe('hit');
    await client.delete(`${jobsPath}/${await expectOneJob(repeat)}`);
  });

  it('a read is 408 without a task, and is canceled', async () => {
    const answer = await resumed(() => client.get(`${jobsPath}/1`, { headers: { prefer: 'wait=1' } }));
    expect(answer.status).toBe(408);
    expect(answer.headers.get('location')).toBeNull();
    expect(answer.body.message).toMatch(/was canceled/);
    const alice = userNamed(lab.users, 'alice');
    await vi.waitFor(() => expect(runsProgram(lab, alice, 'squeue')).toBe(false), { timeout: 30_000 });
  });
});
