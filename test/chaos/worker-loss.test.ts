/** Workers that die, hang and are stopped in the middle of their work; whatever happens, a task ends once and a job is made once. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Daemon } from '../../lab/daemon.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { runCommand } from '../../lab/run-command.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { handChannel, handedOf } from '../../shared/platform/hand-over.ts';
import { connectRedis } from '../../shared/platform/redis.ts';
import { eventually } from '../eventually.ts';
import { hasUnreadRequest } from '../integration/handed-over.ts';
import {
  type Answer,
  type Body,
  type Broker,
  type Client,
  clientOf,
  locationOf,
  pathQuery,
  type SlurmTruth,
  slurmTruth,
  startBroker,
  taskEnd,
} from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { killUserProcesses, runsProgram } from '../user-processes.ts';

const jobsPath = '/compute/lab/jobs';
const held = '#!/bin/sh\n#SBATCH --hold\nexit 0\n';

let lab: Lab;
let broker: Broker;
let client: Client;
let own: OwnDirectory;
let truth: SlurmTruth;
let alice: LabUser;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'slurm', 'oidc'], handlesSignals: false });
  truth = slurmTruth(lab.slurm.confPath);
  alice = userNamed(lab.users, 'alice');
  own = homeDirectory(alice);
  for (let number = 0; number < 30; number += 1) writeFileSync(join(own.path, `f${number}`), 'x'.repeat(number));
  own.giveAway();
}, 90_000);

afterAll(async () => {
  own?.remove();
  await lab?.stop();
}, 60_000);

beforeEach(async () => {
  const systems = { lab: { host_keys: { pinned: [lab.sshd.hostKey] }, transfers: { mover: 'job' } } };
  broker = await startBroker(lab, { workers: 2, goldcrest: { systems } });
  client = await clientOf(lab.oidc, broker.url, 'alice');
}, 60_000);

afterEach(async () => {
  lab.slurm.controller.resume();
  for (const worker of broker?.workers ?? []) worker.resume();
  await broker?.stop();
  await runCommand('scancel', ['--user', alice.username], { env: { SLURM_CONF: lab.slurm.confPath } });
  // The next test waits for its own.
  await eventually(() => expect(runsProgram(lab, alice, 'sbatch')).toBe(false));
}, 90_000);

function submit(headers: Record<string, string> = {}): Promise<Answer> {
  return client.post(jobsPath, { job: { workingDirectory: own.path, script: held } }, { headers });
}

/** The worker that holds the task, as its record names it. */
async function workerOf(taskId: string): Promise<Daemon> {
  const key = `${broker.keyPrefix}:task:${taskId}`;
  const { stdout } = await runCommand('redis-cli', ['-p', String(lab.redis.port), 'HGET', key, 'worker']);
  const worker = broker.workers.find((candidate) => stdout.includes(`-${candidate.pid()}-`));
  return worker ?? expect.unreachable(`no worker holds the task: ${stdout}`);
}

/** The tasks of changes that are handed to workers from now on; resolves when the API knows of workers that take some. */
async function handOvers(): Promise<{ tasks: string[]; close(): void }> {
  const redis = connectRedis(lab.redis.url, 'persist', pino({ level: 'silent' }));
  let handedCount = 0;
  const tasks: string[] = [];
  redis.on('pmessage', (_pattern, _channel, message: string) => {
    const handed = handedOf(message); // null: a worker that hears itself
    if (handed !== null) handedCount += 1;
    if (handed?.claimed !== undefined) tasks.push(handed.claimed.task.id);
  });
  await redis.psubscribe(handChannel(broker.keyPrefix, '*'));
  await eventually(async () => {
    expect((await client.get(`/filesystem/lab/ops/stat?${pathQuery(own.path)}`)).status).toBe(200);
    expect(handedCount).toBeGreaterThan(0);
  });
  return { tasks, close: () => redis.disconnect() };
}

/** What is asked while the controller stands still; resolves with the task when its sbatch waits for the controller. */
async function intoSilence(ask: () => Promise<Answer>): Promise<{ location: string; id: string; worker: Daemon }> {
  lab.slurm.controller.pause();
  const answer = await ask();
  expect(answer.status, answer.text).toBe(202);
  await vi.waitFor(() => expect(runsProgram(lab, alice, 'sbatch')).toBe(true), { timeout: 30_000 });
  return { location: locationOf(answer), id: answer.body.id, worker: await workerOf(answer.body.id) };
}

const submitIntoSilence = () => intoSilence(() => submit({ prefer: 'respond-async', 'idempotency-key': randomUUID() }));

/** The task completed, and Slurm has its one job. */
async function expectOneJob(task: Body): Promise<void> {
  expect(task.state, JSON.stringify(task.error)).toBe('completed');
  expect(await truth.jobsWithComment(alice.username, task.id)).toEqual([`${task.result.jobId}|goldcrest:${task.id}`]);
}

function logOf(worker: Daemon): string {
  return readFileSync(worker.logFile, 'utf8');
}

function attemptsOf(task: Body): number {
  return Number(task.attempt);
}

describe('a worker that is killed', () => {
  it('in a storm of ls and stat: every request is answered all the same', async () => {
    const requests = Array.from({ length: 600 }, (_, number) =>
      number % 4 === 0
        ? `/filesystem/lab/ops/ls?${pathQuery(own.path)}`
        : `/filesystem/lab/ops/stat?${pathQuery(join(own.path, `f${number % 30}`))}`,
    );
    const queue = requests.values();
    const statuses = new Map<string, number>();
    let answered = 0;
    let killed: Promise<void> | undefined;
    const caller = async (): Promise<void> => {
      for (const path of queue) {
        const { status, text } = await client.get(path);
        const outcome = status === 200 ? '200' : `${status} ${text}`;
        statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
        answered += 1;
        if (answered === 150) killed = broker.workers[0]?.kill();
      }
    };
    await Promise.all(Array.from({ length: 64 }, caller));
    await killed;
    expect(broker.workers[0]?.pid()).toBeUndefined();
    expect(Object.fromEntries(statuses)).toEqual({ 200: requests.length });
  });

  it('between the hand-over of a change and its effect: another worker makes it, once', async () => {
    const handed = await handOvers();
    const made = join(own.path, 'handed');
    for (const worker of broker.workers) worker.pause(); // what is handed over now is sent, and not read
    const answer = client.post('/filesystem/lab/ops/mkdir', { path: made });
    const id = await eventually(() => handed.tasks.at(-1) ?? expect.unreachable());
    await (await workerOf(id)).kill();
    handed.close();
    expect(existsSync(made)).toBe(false);
    for (const worker of broker.workers) worker.resume();
    const { status, text } = await answer;
    expect(status, text).toBe(201);
    const { attempt, timeline } = (await client.get(`/tasks/${id}`)).body;
    const states = (timeline as { state: string; attempt: number }[]).map(({ state, attempt: n }) => `${state} ${n}`);
    expect([attempt, states]).toEqual([2, ['pending 0', 'active 1', 'active 2', 'completed 2']]);
    expect(existsSync(made)).toBe(true);
  });

  it('while its sbatch waits: another worker finds the one job', async () => {
    const { location, worker } = await submitIntoSilence();
    await worker.kill();
    lab.slurm.controller.resume();
    const task = await taskEnd(client, location, 90_000);
    await expectOneJob(task);
    expect(attemptsOf(task)).toBeGreaterThan(1);
    // The controller has had its time to make another one.
    await vi.waitFor(() => expect(runsProgram(lab, alice, 'sbatch')).toBe(false), { timeout: 30_000 });
    await expectOneJob(task);
  });
});

it('work on files whose sbatch is killed, or the worker with it, before the job’s id is known has one job, and is done once', async () => {
  const begin = async (name: string) => {
    const input = { path: join(own.path, 'f7'), targetPath: join(own.path, name) };
    return {
      ...(await intoSilence(() => client.post('/tasks', { operation: 'transfer.cp', system: 'lab', input }))),
      name,
    };
  };
  const expectDoneOnce = async ({ location, id, name }: Awaited<ReturnType<typeof begin>>) => {
    const task = await taskEnd(client, location, 90_000);
    const said = JSON.stringify(task.error);
    expect([task.state, readFileSync(join(own.path, name), 'utf8')], said).toEqual(['completed', 'x'.repeat(7)]);
    await vi.waitFor(() => expect(runsProgram(lab, alice, 'sbatch')).toBe(false), { timeout: 30_000 });
    expect(await truth.jobsWithComment(alice.username, id)).toHaveLength(1);
  };
  const first = await begin('first');
  // The controller will take it, whatever becomes of sbatch.
  await vi.waitFor(() => expect(hasUnreadRequest(lab.slurm.confPath, alice.uid)).toBe(true), { timeout: 30_000 });
  expect(killUserProcesses(lab, alice, ({ program }) => program === 'sbatch')).toBe(1);
  lab.slurm.controller.resume();
  await expectDoneOnce(first);
  const second = await begin('second');
  await second.worker.kill();
  lab.slurm.controller.resume();
  await expectDoneOnce(second);
});

it('a chain that is retried goes on from the step that failed, though the broker and Redis are killed in the middle of it', async () => {
  const path = join(own.path, 'later');
  const steps = [
    // Refused where it has been done.
    { name: 'once', operation: 'filesystem.mkdir', input: { path: join(own.path, 'once') } },
    { name: 'read', operation: 'filesystem.view', input: { path } },
    { name: 'submit', operation: 'compute.submit-job', input: { job: { workingDirectory: own.path, script: held } } },
    { name: 'ask', operation: 'compute.get-job', input: { jobId: { $from: 'submit/jobId' } } },
  ];
  const failed = await taskEnd(client, locationOf(await client.post('/tasks', { system: 'lab', steps })));
  expect([failed.state, failed.error.code]).toEqual(['failed', 'FileNotFound']);
  writeFileSync(path, 'there');
  const headers = { 'idempotency-key': randomUUID() };
  const retry = () => client.send('POST', `/tasks/${failed.id}/retry`, { headers });
  const { location, id } = await intoSilence(retry);
  const processes = [broker.api, ...broker.workers];
  await Promise.all(processes.map((process) => process.kill()));
  await lab.redis.kill();
  lab.slurm.controller.resume();
  await lab.redis.start();
  await Promise.all(processes.map((process) => process.start()));
  const again = await retry();
  expect([again.headers.get('idempotency-key-reply'), again.body.id]).toEqual(['hit', id]);
  const task = await taskEnd(client, location, 90_000);
  const states = (task.steps as { name: string; state: string }[]).map(({ name, state }) => `${name} ${state}`);
  expect(states, JSON.stringify(task.error)).toEqual(steps.map(({ name }) => `${name} completed`));
  expect(await truth.jobsWithComment(alice.username, id)).toHaveLength(1);
});

it('a task that is canceled while its sbatch waits is canceled with the job that came of it', async () => {
  const { location, id } = await submitIntoSilence();
  // The controller will take it, whatever becomes of sbatch.
  await vi.waitFor(() => expect(hasUnreadRequest(lab.slurm.confPath, alice.uid)).toBe(true), { timeout: 30_000 });
  expect((await client.delete(location)).status).toBe(202);
  lab.slurm.controller.resume();
  const task = await taskEnd(client, location, 90_000);
  const jobs = await truth.jobsWithComment(alice.username, id);
  const jobId = jobs[0]?.split('|')[0] ?? '';
  expect([task.state, task.error.code, jobs.length]).toEqual(['canceled', 'TaskCanceled', 1]);
  expect(task.error.message).toContain(`job ${jobId},`);
  await vi.waitFor(async () => expect(await truth.accountedState(jobId)).toBe('CANCELLED'), { timeout: 30_000 });
});

it('a worker that hangs for longer than its lock and then goes on makes no second job and changes no outcome', async () => {
  const { location, worker } = await submitIntoSilence();
  worker.pause();
  lab.slurm.controller.resume();
  const task = await taskEnd(client, location, 90_000);
  await expectOneJob(task);
  worker.resume();
  // It is at work again when it answers alone.
  await Promise.all(broker.workers.filter((other) => other !== worker).map((other) => other.stop()));
  expect((await client.get(`${jobsPath}/${task.result.jobId}`)).status).toBe(200);
  const later = (await client.get(location)).body;
  expect([later.state, later.result, later.timeline]).toEqual([task.state, task.result, task.timeline]);
  await expectOneJob(later);
});

describe('a worker that is told to stop', () => {
  it('ends what it has begun, takes nothing new, and hands nothing over', async () => {
    const { location, worker } = await submitIntoSilence();
    const stopped = worker.stop();
    await vi.waitFor(() => expect(logOf(worker)).toContain('"msg":"stopping"'), { timeout: 30_000 });
    // The other one takes over the rest meanwhile.
    expect((await client.get(`/filesystem/lab/ops/stat?${pathQuery(own.path)}`)).status).toBe(200);
    lab.slurm.controller.resume();
    await stopped;
    const task = await taskEnd(client, location);
    await expectOneJob(task);
    expect(attemptsOf(task)).toBe(1);
    expect(logOf(worker)).toContain('"msg":"stopped"');
  });

  it('hands back what does not end in its time, and that ends elsewhere with one job', async () => {
    const impatient = await startBroker(lab, { workers: 2, goldcrest: { worker: { drain: '1s' } } });
    const before = broker;
    broker = impatient;
    client = await clientOf(lab.oidc, broker.url, 'alice');
    try {
      const { location, worker } = await submitIntoSilence();
      await worker.stop();
      expect(logOf(worker)).toContain('handed back');
      lab.slurm.controller.resume();
      await expectOneJob(await taskEnd(client, location, 90_000));
    } finally {
      await before.stop();
    }
  });
});

describe('an API process that is killed', () => {
  it('while it holds a submission: the job is made once, and the same key finds it afterwards', async () => {
    lab.slurm.controller.pause();
    const headers = { 'idempotency-key': randomUUID() };
    const lost = submit(headers).catch((error: Error) => error.name);
    await vi.waitFor(() => expect(runsProgram(lab, alice, 'sbatch')).toBe(true), { timeout: 30_000 });
    await broker.api.kill();
    expect(await lost).toBe('TypeError');
    lab.slurm.controller.resume();
    await broker.api.start();
    const again = await submit({ ...headers, prefer: 'respond-async' });
    expect(again.headers.get('idempotency-key-reply')).toBe('hit');
    await expectOneJob(await taskEnd(client, locationOf(again)));
    expect((await submit(headers)).status).toBe(201);
  });
});
