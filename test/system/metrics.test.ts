/** What Prometheus is told by API and worker: exactly what happened, whatever a client sends, and also while Redis is away. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Lab, startLab } from '../../lab/lab.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { plainEnvironment } from '../../lab/plain-environment.ts';
import { userNamed } from '../../lab/users.ts';
import { eventually } from '../eventually.ts';
import { type Broker, type Client, clientOf, locationOf, pathQuery, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { addressOf, scrape, scraped, textOf } from './scrape.ts';

/** In everything that a client can send. */
const sentinel = `sentinel-${randomBytes(6).toString('hex')}`;

let lab: Lab;
let own: OwnDirectory;
let broker: Broker;
let client: Client;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'oidc'], handlesSignals: false });
  own = homeDirectory(userNamed(lab.users, 'alice'));
  broker = await startBroker(lab, {
    scheduler: 'process',
    goldcrest: { ...scraped, tasks: { attempts_max: 1 } },
    otherSystems: [{ name: 'gone', sshd: { ...lab.sshd, port: 1 } }],
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
}, 60_000);

afterAll(async () => {
  await broker?.stop();
  own?.remove();
  await lab?.stop();
}, 60_000);

const [system, ls] = ['lab', 'filesystem.ls'];
const stat = (status: string) => ({ operation: 'filesystem.stat', method: 'GET', status });
const requests = 'goldcrest_http_request_duration_seconds_count';
const ended = 'goldcrest_tasks_ended_total';
const submit = (more: object, headers: Record<string, string> = {}) =>
  client.post('/tasks', { operation: ls, system, input: { path: own.path }, ...more }, { headers });

it('counts requests and tasks by what came of them, and bytes as they are', async () => {
  for (const status of [200, 200, 200]) {
    expect((await client.get(`/filesystem/lab/ops/stat?${pathQuery(own.path)}`)).status).toBe(status);
  }
  expect((await client.get(`/filesystem/lab/ops/stat?${pathQuery(join(own.path, sentinel))}`)).status).toBe(404);
  expect((await client.get(`/filesystem/lab/ops/stat?${pathQuery(own.path)}`, { token: null })).status).toBe(401);
  await fetch(`${broker.url}/${sentinel}`, { method: 'PURGE', headers: { authorization: `Bearer ${sentinel}` } });
  const keyed = { 'idempotency-key': sentinel };
  const [first, repeat] = [await submit({ tags: [sentinel] }, keyed), await submit({ tags: [sentinel] }, keyed)];
  expect(repeat.body.id).toBe(first.body.id);
  expect((await taskEnd(client, locationOf(first))).state).toBe('completed');
  const later = await submit({ notBefore: new Date(Date.now() + 3_600_000).toISOString() });
  expect((await client.delete(locationOf(later))).status).toBe(200);
  const batch = await client.post('/tasks/batch', { tasks: [{ operation: sentinel }] });
  expect(batch.body.refused).toBe(1);
  const bytes = randomBytes(70_000);
  const form = new FormData();
  form.set('file', new Blob([bytes]), `${sentinel}.bin`);
  expect((await client.post(`/filesystem/lab/ops/upload?${pathQuery(own.path)}`, form)).status).toBe(204);
  const file = `/filesystem/lab/ops/download?${pathQuery(join(own.path, `${sentinel}.bin`))}`;
  expect((await client.get(file)).status).toBe(200);
  expect((await client.get(file, { headers: { range: 'bytes=0-999' } })).status).toBe(206);

  await eventually(async () => {
    const api = await scrape(broker.api);
    expect(api.value(requests, stat('2xx'))).toBe(3);
    expect(api.value(requests, stat('4xx'))).toBe(2);
    expect(api.value(requests, { operation: 'unmatched', method: 'other', status: '4xx' })).toBe(1);
    expect(api.value('goldcrest_http_errors_total', { code: 'FileNotFound' })).toBe(1);
    expect(api.value('goldcrest_http_errors_total', { code: 'Unauthenticated' })).toBe(1);
    expect(api.value('goldcrest_tasks_accepted_total', { operation: 'filesystem.stat', system })).toBe(4);
    expect(api.value('goldcrest_tasks_accepted_total', { operation: ls, system })).toBe(2);
    expect(api.value('goldcrest_idempotent_replays_total')).toBe(1);
    expect(api.value(ended, { operation: ls, system, state: 'canceled', fault: '' })).toBe(1);
  });
  await eventually(async () => {
    const worker = await scrape(broker.workers[0]);
    const statted = { operation: 'filesystem.stat', system };
    expect(worker.value(ended, { ...statted, state: 'completed', fault: '' })).toBe(3);
    expect(worker.value(ended, { ...statted, state: 'failed', fault: 'caller' })).toBe(1);
    expect(worker.value('goldcrest_task_duration_seconds_count', { operation: 'filesystem.stat' })).toBe(4);
    expect(worker.value('goldcrest_task_wait_seconds_count', { lane: 'interactive', system })).toBe(5);
    expect(worker.value('goldcrest_tasks_running', { lane: 'interactive', system })).toBe(0);
    const direct = { system, mover: 'direct' };
    expect(worker.value('goldcrest_transfer_bytes_total', { ...direct, direction: 'in' })).toBe(70_000);
    expect(worker.value('goldcrest_transfer_bytes_total', { ...direct, direction: 'out' })).toBe(71_000);
  });
});

it('counts SSH connections that were opened, and those that could not be, by why', async () => {
  expect((await client.get(`/filesystem/gone/ops/stat?${pathQuery('/tmp')}`)).status).toBe(424);
  const worker = await scrape(broker.workers[0]);
  const opened = worker.value('goldcrest_ssh_connects_total', { system }) ?? 0;
  const open = ['busy', 'idle'].map((state) => worker.value('goldcrest_ssh_connections', { system, state }) ?? 0);
  const logins = readFileSync(lab.sshd.logFile, 'utf8').match(/Accepted publickey for gcalice/g) ?? [];
  expect(opened).toBe(logins.length);
  expect(open.reduce((sum, count) => sum + count, 0)).toBe(opened);
  expect(worker.value('goldcrest_ssh_connects_total', { system: 'gone' })).toBe(0);
  expect(
    worker.value('goldcrest_ssh_connect_failures_total', { system: 'gone', code: 'SshUnavailable' }),
  ).toBeGreaterThan(0);
});

it('counts the questions about jobs, and the queries that they cost the scheduler', async () => {
  const jobs = await Promise.all(Array.from({ length: 8 }, () => client.get('/compute/lab/jobs')));
  expect(jobs.map(({ status }) => status)).toEqual(jobs.map(() => 200));
  const worker = await scrape(broker.workers[0]);
  const queries = worker.value('goldcrest_scheduler_queries_total', { system, query: 'list' });
  expect(worker.value('goldcrest_scheduler_questions_total', { system })).toBe(8);
  expect(queries).toBeGreaterThan(0);
  expect(queries).toBeLessThanOrEqual(8);
});

it('tells how many tasks wait while no worker runs, and that none does any more', async () => {
  const waiting = async () => {
    const api = await scrape(broker.api);
    const queue = { lane: 'interactive', system };
    const open = api.value('goldcrest_tasks_open', queue);
    return [open, api.value('goldcrest_queue_entries', { ...queue, state: 'waiting' })];
  };
  await eventually(async () => expect(await waiting()).toEqual([0, 0]));
  await broker.workers[0]?.stop();
  const tasks = [await submit({}), await submit({}), await submit({})];
  await eventually(async () => expect(await waiting()).toEqual([3, 3]));
  await broker.workers[0]?.start();
  for (const task of tasks) expect((await taskEnd(client, locationOf(task))).state).toBe('completed');
  await eventually(async () => expect(await waiting()).toEqual([0, 0]));
  const worker = await scrape(broker.workers[0]);
  expect(worker.value(ended, { operation: ls, system, state: 'completed', fault: '' })).toBe(3);
});

it('counts once what several workers began, and a chain as one task', async () => {
  await broker.addWorker();
  const steps = ['filesystem.stat', ls].map((operation, at) => ({
    name: `step-${at}`,
    operation,
    input: { path: own.path },
  }));
  const sumOf = async (name: string, labels: Record<string, string>): Promise<number> => {
    const told = await Promise.all([broker.api, ...broker.workers].map(scrape));
    return told.reduce((sum, { value }) => sum + (value(name, labels) ?? 0), 0);
  };
  const waits = () => sumOf('goldcrest_task_wait_seconds_count', { lane: 'interactive', system });
  const before = await waits();
  const chain = await client.post('/tasks', { system, steps });
  expect((await taskEnd(client, locationOf(chain))).state).toBe('completed');
  const target = `/filesystem/lab/ops/stat?${pathQuery(own.path)}`;
  const answers = await Promise.all(Array.from({ length: 64 }, () => client.get(target)));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  await eventually(async () => {
    expect(await sumOf('goldcrest_tasks_running', { lane: 'interactive', system })).toBe(0);
    expect((await waits()) - before).toBe(65);
    expect(await sumOf('goldcrest_tasks_accepted_total', { operation: 'chain', system })).toBe(1);
    expect(await sumOf(ended, { operation: 'chain', system, state: 'completed', fault: '' })).toBe(1);
  });
});

it('names nobody and nothing that a client sent', async () => {
  const token = await requestToken(lab.oidc, 'alice');
  const texts = await Promise.all([broker.api, broker.workers[0]].map(textOf));
  const { username, uid } = userNamed(lab.users, 'alice');
  for (const secret of [sentinel, username, own.path, token, ...token.split('.'), 'Bearer', `"${uid}"`]) {
    for (const text of texts) expect(text).not.toContain(secret);
  }
  // Not among the users' routes, which are FirecREST's.
  expect((await client.get('/metrics')).status).toBe(404);
  const other = await fetch(addressOf(broker.api).replace('/metrics', '/tasks'));
  expect(other.status).toBe(404);
});

it('ends the start where its port is another one’s, and says what to do', () => {
  const config = parse(readFileSync(broker.configFile, 'utf8')) as { goldcrest: Record<string, unknown> };
  const taken = Number(new URL(addressOf(broker.api)).port);
  Object.assign(config.goldcrest, { metrics: { api_port: taken }, api: { host: '127.0.0.1', port: 0 } });
  const file = join(lab.folder, 'metrics-taken.yaml');
  writeFileSync(file, stringify(config), { mode: 0o600 });
  const { status, stdout } = spawnSync(process.execPath, ['dist/api/main.js'], {
    ...{ env: { ...plainEnvironment(), GOLDCREST_CONFIG: file }, encoding: 'utf8', timeout: 60_000 },
  });
  expect(status, stdout).toBe(78);
  expect(stdout).toContain(`goldcrest.metrics.api_port: port ${taken} of 127.0.0.1 cannot be had`);
  expect(stdout).toContain('GOLDCREST_METRICS__API_PORT');
});

it('tells what it knows while Redis is away, and that it is', async () => {
  await lab.redis.stop();
  for (const daemon of [broker.api, broker.workers[0]]) {
    await eventually(async () => {
      const startedAt = performance.now();
      const { value } = await scrape(daemon);
      // Both answer at once; a hung Redis would cost 1.5 s.
      expect(performance.now() - startedAt).toBeLessThan(2_000);
      expect(value('goldcrest_redis_up')).toBe(0);
      expect(value('goldcrest_redis_errors_total', { purpose: 'persist' })).toBeGreaterThan(0);
      expect(value('goldcrest_tasks_open', { lane: 'interactive', system })).toBeUndefined();
      expect(value('goldcrest_build_info', { version: '0.1.0' })).toBe(1);
    });
  }
  await eventually(async () => {
    const { value } = await scrape(broker.api);
    expect(value(requests, stat('2xx'))).toBe(3 + 64);
    expect(value('goldcrest_redis_memory_used_bytes')).toBeUndefined();
  });
  await lab.redis.start();
  for (const daemon of [broker.api, broker.workers[0]]) {
    await eventually(async () => {
      const { value } = await scrape(daemon);
      expect(value('goldcrest_redis_up')).toBe(1);
      expect(value('goldcrest_redis_reconnects_total', { purpose: 'persist' })).toBeGreaterThan(0);
    });
  }
});
