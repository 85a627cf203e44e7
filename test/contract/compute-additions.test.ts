/** What jobs can do here beyond FirecREST v2, through the running broker: resources, hold, release, change, estimate. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { jobEstimate } from '../../shared/operations/compute/estimate-job.ts';
import { type Broker, type Client, clientOf, startBroker } from '../system/broker-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const jobs = '/compute/lab/jobs';
const script = '#!/bin/sh\nexit 0\n';

let broker: Broker;
let client: Client;

beforeAll(async () => {
  broker = await startBroker(lab);
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

afterAll(() => broker?.stop());

async function submit(more: Record<string, unknown> = {}): Promise<string> {
  const job = { workingDirectory: alice.home, standardOutput: '/dev/null', script, ...more };
  const answer = await client.post(jobs, { job });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.jobId;
}

async function show(jobId: string) {
  const [job] = (await client.get(`${jobs}/${jobId}`)).body.jobs;
  return job as unknown as Record<string, unknown> & { time: Record<string, unknown>; status: Record<string, unknown> };
}

const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;

describe('defect 11: resources of a job', () => {
  it('count over its directives and show in its status, under our names and those of PSI/J', async () => {
    const own = { nodes: 2, tasks: 4, time_limit_seconds: '600', beginAt: inAnHour() };
    const psij = {
      ...{ resources: { node_count: 2, process_count: 4 }, attributes: { duration: 600, queue_name: 'debug' } },
      beginAt: inAnHour(),
    };
    for (const resources of [own, psij]) {
      const jobId = await submit({ script: '#!/bin/sh\n#SBATCH --nodes=1 --time=1\nexit 0\n', ...resources });
      const job = await show(jobId);
      expect(job).toMatchObject({ cpus: 4, gpus: null, partition: 'debug', time: { limit: 600 } });
      expect(Math.abs(Number(job.time.submit) - Date.now() / 1_000)).toBeLessThan(60);
      await client.delete(`${jobs}/${jobId}`);
    }
  });

  it.each([
    [{ nodes: 'two' }, 'job.nodes'],
    [{ resources: { disk: 5 } }, 'job.resources'],
    [{ nodes: 1, resources: { node_count: 2 } }, 'job.resources.node_count'],
  ])('that make no sense are refused by name: %j', async (more, field) => {
    const answer = await client.post(jobs, { job: { workingDirectory: alice.home, script, ...more } });
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain(`\`${field}\``);
  });
});

describe('a job that waits', () => {
  it('is held, changed and released, each answered with 204', async () => {
    const jobId = await submit({ beginAt: inAnHour(), timeLimitSeconds: 60 });
    const put = (what: string) => client.send('PUT', `${jobs}/${jobId}/${what}`);
    expect((await put('hold')).status).toBe(204);
    expect((await show(jobId)).status).toMatchObject({ state: 'PENDING', stateReason: 'JobHeldUser' });
    const change = { name: 'another name', timeLimitSeconds: 300 };
    expect((await client.send('PATCH', `${jobs}/${jobId}`, { body: change })).status).toBe(204);
    expect(await show(jobId)).toMatchObject({ name: 'another name', time: { limit: 300 } });
    expect((await put('release')).status).toBe(204);
    expect((await show(jobId)).status.stateReason).not.toBe('JobHeldUser');
    const nothing = await client.send('PATCH', `${jobs}/${jobId}`, { body: {} });
    expect([nothing.status, nothing.body.message]).toEqual([400, expect.stringContaining('must change something')]);
    await client.delete(`${jobs}/${jobId}`);
    expect([(await put('hold')).body.code, (await put('hold')).status]).toEqual(['JobEnded', 409]);
  });

  it('is nobody else’s to change', async () => {
    const jobId = await submit({ beginAt: inAnHour() });
    const bob = await clientOf(lab.oidc, broker.url, 'bob');
    for (const [method, path, body] of [
      ['PUT', `${jobs}/${jobId}/hold`, undefined],
      ['PUT', `${jobs}/${jobId}/release`, undefined],
      ['PATCH', `${jobs}/${jobId}`, { name: 'bob' }],
    ] as const) {
      const answer = await bob.send(method, path, body === undefined ? {} : { body });
      expect([answer.status, answer.body.code]).toEqual([403, 'PermissionDenied']);
    }
    await client.delete(`${jobs}/${jobId}`);
  });

  it('that is none is a 404', async () => {
    const answer = await client.send('PUT', `${jobs}/4294000/hold`);
    expect([answer.status, answer.body.message]).toEqual([404, 'Job not found.']);
  });
});

describe('an estimate', () => {
  it('tells when and where a job would start, without submitting it', async () => {
    const job = { workingDirectory: alice.home, script, tasks: 2 };
    const { status, body } = await client.post(`${jobs}/estimate`, { job });
    expect(status).toBe(200);
    expect(jobEstimate.parse(body)).toMatchObject({ startAt: expect.any(Number), cpus: 2, partition: 'debug' });
  });

  it('is refused as the job would be', async () => {
    const job = { workingDirectory: alice.home, script, partition: 'nope' };
    const [estimated, submitted] = [await client.post(`${jobs}/estimate`, { job }), await client.post(jobs, { job })];
    expect([estimated.status, estimated.body.code]).toEqual([submitted.status, submitted.body.code]);
    expect(estimated.body.message).toContain('Invalid partition');
  });
});

describe('a list of jobs', () => {
  it('comes in pages and narrowed, and whole where nothing of that is asked for', async () => {
    const name = `paged-${Date.now()}`;
    const jobIds: string[] = [];
    for (let count = 0; count < 3; count += 1) jobIds.unshift(await submit({ name, beginAt: inAnHour() }));
    const list = (query: Record<string, string>) => client.get(`${jobs}?${new URLSearchParams({ name, ...query })}`);
    const idsOf = async (query: Record<string, string>) => (await list(query)).body.jobs.map(({ jobId }) => jobId);
    const first = await list({ limit: '2' });
    expect(first.body.jobs.map(({ jobId }) => jobId)).toEqual(jobIds.slice(0, 2));
    const second = await list({ limit: '2', cursor: first.headers.get('next-cursor') ?? '' });
    expect(second.body.jobs.map(({ jobId }) => jobId)).toEqual(jobIds.slice(2));
    expect(second.headers.get('next-cursor')).toBeNull();
    expect(await idsOf({})).toEqual(jobIds);
    expect(await idsOf({ state: 'running,pending', partition: 'debug', user: alice.username })).toEqual(jobIds);
    expect(await idsOf({ state: 'RUNNING' })).toEqual([]);
    expect(await idsOf({ partition: 'gpu' })).toEqual([]);
    expect(await idsOf({ user: 'gcbob' })).toEqual([]);
    const now = Math.floor(Date.now() / 1_000);
    expect(await idsOf({ since: String(now - 300), until: String(now + 60) })).toEqual(jobIds);
    expect(await idsOf({ until: String(now - 300) })).toEqual([]);
    for (const jobId of jobIds) await client.delete(`${jobs}/${jobId}`);
  });

  it.each([
    ['since=1000', '`since` must be at most 31 days ago'],
    ['cursor=nonsense', '`cursor` must be the Next-Cursor'],
    ['limit=none', '`limit` must be a whole number'],
    ['state=a%3Bb', '`state` must be a state such as RUNNING'],
  ])('is refused by the name of the field for %s', async (query, message) => {
    const answer = await client.get(`${jobs}?${query}`);
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringContaining(message)]);
  });
});
