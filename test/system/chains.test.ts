/** Chains through the running broker, Slurm and an S3 store: data goes in, a job works on it, what it made comes out. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { type Receiver, startReceiver } from '../integration/webhook-receiver.ts';
import {
  type Body,
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
import { completeUpload, putParts } from './transfer-fixture.ts';

const lab = inject('lab');
const { username } = userNamed(lab.users, 'alice');
let broker: Broker;
let client: Client;
let own: OwnDirectory;
let truth: SlurmTruth;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver((response) => response.writeHead(204).end());
  const webhooks = {
    sealing_keys: [{ id: 'k1', key: randomBytes(32).toString('base64') }],
    ...{ allow_http: true, ports: [receiver.port], allowed_networks: ['127.0.0.1/32'] },
  };
  broker = await startBroker(lab, { workers: 2, s3: lab.s3, goldcrest: { webhooks } });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(userNamed(lab.users, 'alice'));
  truth = slurmTruth(lab.slurm.confPath);
});

afterAll(async () => {
  for (const worker of broker?.workers ?? []) worker.resume();
  await broker?.stop();
  await receiver?.close();
  own?.remove();
});

const at = (name: string): string => join(own.path, name);
const submit = (script: string) => ({
  ...{ name: 'submit', operation: 'compute.submit-job' },
  input: { job: { workingDirectory: own.path, script: `#!/bin/sh\n${script}\n` } },
});
const wait = { name: 'wait', operation: 'compute.await-job', input: { jobId: { $from: 'submit/jobId' } } };
const view = (name: string) => ({ name: 'view', operation: 'filesystem.view', input: { path: at(name) } });
const start = async (steps: unknown[], more: Record<string, unknown> = {}): Promise<string> =>
  locationOf(await client.post('/tasks', { system: 'lab', steps, ...more }));
const stepsOf = (task: Body) =>
  task.steps as { name: string; state: string; result: Record<string, unknown>; error: { code: string } | null }[];
const statesOf = (task: Body) => stepsOf(task).map(({ name, state }) => `${name} ${state}`);
const jobIdOf = (task: Body) => String(stepsOf(task).find(({ name }) => name === 'submit')?.result.jobId);

/** Resolves with the task when the step has come to that state. */
function whenStep(location: string, name: string, states: readonly string[]): Promise<Body> {
  return vi.waitFor(
    async () => {
      const { body } = await client.get(location);
      const state = stepsOf(body).find((step) => step.name === name)?.state ?? '';
      if (!states.includes(state)) throw new Error(`${name} is ${state}: ${JSON.stringify(body.error)}`);
      return body;
    },
    { timeout: 30_000, interval: 50 },
  );
}

it('upload, job, its end, download: one task, told step by step, and of its end by a signed webhook', async () => {
  const content = randomBytes(200_000);
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const directives = { transferMethod: 's3', fileSize: content.byteLength };
  const location = await start(
    [
      { name: 'upload', operation: 'transfer.upload', input: { path: at('in'), transferDirectives: directives } },
      submit('cat in in > out'),
      wait,
      {
        name: 'download',
        operation: 'transfer.download',
        input: { path: at('out'), transferDirectives: { transferMethod: 's3' } },
      },
    ],
    { webhook: { url: receiver.url, secret } },
  );
  type Signed = { parts: { url: string }[]; partSizeBytes: number; completeUrl: string; downloadUrl: string };
  const signed = await vi.waitFor(
    async () => {
      const answer = await client.get(`${location}/transfer`);
      expect(answer.status, answer.text).toBe(200);
      return answer.body as unknown as Signed;
    },
    { timeout: 30_000, interval: 100 },
  );
  const addresses = {
    ...{ partsUploadUrls: signed.parts.map(({ url }) => url), maxPartSize: signed.partSizeBytes },
    ...{ completeUploadUrl: signed.completeUrl, downloadUrl: '' },
  };
  await completeUpload(addresses, await putParts(addresses, content));
  const task = await taskEnd(client, location);
  expect(statesOf(task), JSON.stringify(task.error)).toEqual([
    'upload completed',
    'submit completed',
    'wait completed',
    'download completed',
  ]);
  expect(stepsOf(task)[2]?.result).toMatchObject({ jobId: jobIdOf(task), state: 'COMPLETED', exitCode: 0 });
  const { downloadUrl } = (await client.get(`${location}/transfer`)).body as unknown as Signed;
  const fetched = Buffer.from(await (await fetch(downloadUrl)).arrayBuffer());
  expect(fetched.equals(Buffer.concat([content, content]))).toBe(true);

  const [told] = await receiver.until(1);
  expect(new Webhook(secret).verify(told?.body ?? '', told?.headers ?? {})).toMatchObject({
    type: 'task.completed',
    data: { taskId: task.id, step: 'download' },
  });
  const keys = ['-p', String(lab.redis.port), '--raw', 'KEYS', `${broker.keyPrefix}:*`];
  const left = (await runCommand('redis-cli', keys)).stdout
    .split('\n')
    .filter((key) => /:(open|admitted|waiting|aside):/.test(key));
  expect(left).toEqual([]);
});

it('a step that fails ends the task, and a retry goes on from there with what the steps before gave', async () => {
  const steps = [submit('echo 42 > made'), wait, view('missing'), { ...view('made'), name: 'last' }];
  const location = await start(steps, { tags: ['chain'] });
  const failed = await taskEnd(client, location);
  expect([failed.state, failed.error.code]).toEqual(['failed', 'FileNotFound']);
  expect(statesOf(failed)).toEqual(['submit completed', 'wait completed', 'view failed', 'last skipped']);

  writeFileSync(at('missing'), 'found');
  own.giveAway();
  const headers = { 'idempotency-key': `"${location}"` };
  const again = await client.send('POST', `${location}/retry`, { headers });
  expect(again.status, again.text).toBe(202);
  const ended = await taskEnd(client, locationOf(again));
  expect(ended).toMatchObject({ state: 'completed', retryOf: failed.id, tags: ['chain'] });
  expect(statesOf(ended)).toEqual(['submit completed', 'wait completed', 'view completed', 'last completed']);
  expect(jobIdOf(ended)).toBe(jobIdOf(failed)); // no second job
  expect(stepsOf(ended).at(-1)?.result).toMatchObject({ text: '42\n' });
  expect((await client.send('POST', `${location}/retry`, { headers })).body.id).toBe(ended.id);
  expect((await client.send('POST', `${locationOf(again)}/retry`)).body.code).toBe('TaskConflict');
  expect((await client.get(location)).body.state).toBe('failed');
});

it('a job that fails is a failed step, unless any end will do', async () => {
  const any = { ...wait, input: { ...wait.input, expect: 'any' } };
  const [strict, lenient] = await Promise.all([start([submit('exit 3'), wait]), start([submit('exit 3'), any])]);
  const failed = await taskEnd(client, strict);
  expect([failed.state, failed.error.code]).toEqual(['failed', 'JobNotCompleted']);
  expect((await taskEnd(client, lenient)).result).toMatchObject({ state: 'FAILED', exitCode: 3 });
});

it('a job that was never there is not waited for', async () => {
  const answer = await client.get('/compute/lab/jobs/999999999/end');
  expect([answer.status, answer.body.code]).toEqual([404, 'JobNotFound']);
});

it('a cancel while the job runs cancels the job, and nothing of the chain runs any more', async () => {
  const location = await start([submit('sleep 600'), wait, view('never')]);
  const jobId = jobIdOf(await whenStep(location, 'wait', ['active', 'pending']));
  const answer = await client.delete(location, { headers: { prefer: 'wait=30' } });
  expect([answer.status, answer.body.state]).toEqual([200, 'canceled']);
  expect(statesOf(answer.body)).toEqual(['submit completed', 'wait canceled', 'view skipped']);
  await vi.waitFor(async () => expect(await truth.accountedState(jobId)).toBe('CANCELLED'), {
    timeout: 30_000,
    interval: 250,
  });
});

it('workers that are killed between and within steps lose no step and make no second job', async () => {
  const chains = await Promise.all(
    Array.from({ length: 4 }, (_, n) => start([submit(`echo ${n} > killed-${n}`), wait, view(`killed-${n}`)])),
  );
  await Promise.race(chains.map((location) => whenStep(location, 'submit', ['completed'])));
  await Promise.all(broker.workers.map((worker) => worker.kill()));
  await broker.addWorker();
  for (const [n, location] of chains.entries()) {
    const task = await taskEnd(client, location, 90_000);
    expect(statesOf(task), JSON.stringify(task.error)).toEqual([
      'submit completed',
      'wait completed',
      'view completed',
    ]);
    expect(task.result).toMatchObject({ text: `${n}\n` });
    expect(await truth.jobsWithComment(username, task.id)).toEqual([`${jobIdOf(task)}|goldcrest:${task.id}`]);
  }
  expect(readFileSync(at('killed-0'), 'utf8')).toBe('0\n');
});
