/**
 * Work for users who are not there, on real OpenFGA, Slurm, sshd and S3: under what consent it runs, that it needs no token,
 * and that a grant which is taken back, or the end of the consent, stops its next step.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { createStore, type OpenFgaStore } from '../integration/openfga-fixture.ts';
import { userProcesses } from '../user-processes.ts';
import {
  type Body,
  type Broker,
  type Client,
  clientOf,
  createClient,
  locationOf,
  startBroker,
  taskEnd,
} from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { createPersonIssuer, type PersonIssuer } from './person-issuer.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
/** The lab's tokens are those of programs. */
const subject = 'service_client:alice';
const hourMs = 3_600_000;
const cacheMs = 200;
const takenBack = /^The permission was taken back, or has ended, since this was asked for\. You may not /;

let store: OpenFgaStore;
let broker: Broker;
let client: Client;
let own: OwnDirectory;
let people: PersonIssuer;

beforeAll(async () => {
  people = await createPersonIssuer(lab.folder, 'short-lived');
  store = await createStore(lab.openfga);
  broker = await startBroker(lab, {
    s3: lab.s3,
    goldcrest: {
      issuers: [
        { issuer: lab.oidc.issuer, audiences: [lab.oidc.audience], jwks_urls: [lab.oidc.jwksUri] },
        people.settings,
      ],
      authorization: {
        ...{ url: lab.openfga.apiUrl, store_id: store.storeId, model_id: store.modelId },
        ...{ api_token: lab.openfga.apiToken, cache: `${cacheMs}ms` },
      },
      consent: { task_max: '2h', chain_max: '3h' },
      watches: { interval_min: '500ms' },
    },
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(alice);
  for (const relation of ['read_files', 'submit', 'cancel']) await store.grant(subject, relation, 'system:lab', {});
});

afterAll(async () => {
  await broker?.stop();
  own?.remove();
});

const at = (name: string): string => join(own.path, name);
const submit = async (wish: Record<string, unknown>): Promise<string> =>
  locationOf(await client.post('/tasks', { system: 'lab', ...wish }));
const job = (script: string) => ({ job: { workingDirectory: own.path, script: `#!/bin/sh\n${script}\n` } });

/** Resolves with the task once it is so. */
function whenTask(location: string, isSo: (task: Body) => boolean): Promise<Body> {
  return vi.waitFor(
    async () => {
      const { body, text } = await client.get(location);
      if (!isSo(body)) throw new Error(`not yet: ${text}`);
      return body;
    },
    { timeout: 30_000, interval: 100 },
  );
}

/** With the relation while the work begins, and without it from then on. */
async function withdrawn<T>(relation: string, begin: () => Promise<T>): Promise<T> {
  await store.grant(subject, relation, 'system:lab', {});
  const grantedAt = Date.now();
  // API and worker have forgotten by then that it was refused.
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(grantedAt + cacheMs), { timeout: 30_000, interval: 20 });
  const begun = await begin();
  await store.revoke(subject, relation, 'system:lab');
  return begun;
}

describe('the consent of a task', () => {
  it('says who, what, from where and until when, on the task and in the audit trail', async () => {
    const until = new Date(Date.now() + hourMs).toISOString();
    const head = { name: 'a', operation: 'filesystem.stat', input: { path: '/tmp' } };
    const location = await submit({ steps: [head, { ...head, name: 'b' }], deadline: until });
    const { consent, createdAt, id } = await taskEnd(client, location);
    expect(consent).toEqual({
      ...{ subject: 'alice', client: 'alice', username: alice.username, from: '127.0.0.1' },
      actions: Array(2).fill({ operation: 'filesystem.stat', system: 'lab' }),
      ...{ givenAt: createdAt, until },
    });
    const { body } = await client.get('/audit');
    const records = (body.records as { kind: string; task: string; why: string; address: string }[]).filter(
      (record) => record.task === id,
    );
    expect(records.at(-1)).toMatchObject({ kind: 'request', why: `may read_files, consents until ${until}` });
  });

  it('lasts as long as the configuration says at most, by its kind, and as short as the request asks', async () => {
    const stat = { operation: 'filesystem.stat', input: { path: '/tmp' } };
    const later = (hours: number) => new Date(Date.now() + hours * hourMs).toISOString();
    const refusal = async (wish: Record<string, unknown>) =>
      (await client.post('/tasks', { system: 'lab', ...wish })).body.message;
    expect(await refusal({ ...stat, deadline: later(2.5) })).toMatch(/`deadline` must be within 120 minutes/);
    expect(await refusal({ steps: [{ ...stat, name: 'a' }], deadline: later(3.5) })).toMatch(/within 180 minutes/);
    const { createdAt, consent } = await taskEnd(client, await submit(stat));
    const { until } = consent as { until: string };
    expect(Date.parse(until) - Date.parse(createdAt as string)).toBe(2 * hourMs);
  });
});

it('work begins after its token has run out', async () => {
  await store.grant(`user:${alice.username}`, 'write_files', 'system:lab');
  const token = await people.sign(alice.username, 5);
  const person = createClient(broker.url, token);
  const notBefore = new Date(Date.now() + 6_500).toISOString();
  const wish = { operation: 'filesystem.mkdir', system: 'lab', input: { path: at('later') }, notBefore };
  const accepted = await person.post('/tasks', wish);
  expect(accepted.status, accepted.text).toBe(202);
  await vi.waitFor(() => expect(existsSync(at('later'))).toBe(true), { timeout: 30_000 });
  expect((await person.get(`/tasks/${accepted.body.id}`)).status).toBe(401);
  const again = createClient(broker.url, await people.sign(alice.username, 60));
  expect((await taskEnd(again, `/tasks/${accepted.body.id}`)).state).toBe('completed');
});

describe('a grant that is taken back', () => {
  it('keeps a later step of a chain from running; the job that was submitted is left to the scheduler', async () => {
    const steps = [
      { name: 'submit', operation: 'compute.submit-job', input: job(`while [ ! -e ${at('go')} ]; do sleep 0.2; done`) },
      { name: 'wait', operation: 'compute.await-job', input: { jobId: { $from: 'submit/jobId' } } },
      { name: 'make', operation: 'filesystem.mkdir', input: { path: at('made') } },
    ];
    const location = await withdrawn('write_files', () => submit({ steps }));
    await whenTask(location, ({ step }) => (step as { name: string }).name === 'wait');
    writeFileSync(at('go'), '');
    const { state, error, steps: ended } = await taskEnd(client, location);
    expect([state, error.code]).toEqual(['failed', 'Forbidden']);
    expect(error.message).toMatch(takenBack);
    expect((ended as { state: string }[]).map((step) => step.state)).toEqual(['completed', 'completed', 'failed']);
    expect(existsSync(at('made'))).toBe(false);
  });

  it('stops what runs on the cluster, and leaves nothing of it', async () => {
    execFileSync('truncate', ['-s', '40G', at('big')]);
    own.giveAway();
    const working = () => userProcesses(lab, alice).filter(({ line }) => line.includes(own.path));
    const compress = { operation: 'transfer.compress', input: { path: at('big'), targetPath: at('big.tgz') } };
    const location = await withdrawn('write_files', async () => {
      const begun = await submit(compress);
      await vi.waitFor(() => expect(working()).not.toEqual([]), { timeout: 30_000, interval: 100 });
      return begun;
    });
    const { state, error } = await taskEnd(client, location);
    expect([state, error.code]).toEqual(['failed', 'Forbidden']);
    expect(error.message).toMatch(takenBack);
    expect([working(), existsSync(at('big.tgz'))]).toEqual([[], false]);
  });

  it('breaks off what is in the middle of its work, with the process on the cluster', async () => {
    execFileSync('truncate', ['-s', '1T', at('endless')]);
    own.giveAway();
    const working = () => userProcesses(lab, alice).filter(({ line }) => line.includes(at('endless')));
    const checksum = { operation: 'filesystem.checksum', input: { path: at('endless') } };
    const location = await submit(checksum);
    await vi.waitFor(() => expect(working()).not.toEqual([]), { timeout: 30_000, interval: 50 });
    await store.revoke(subject, 'read_files', 'system:lab');
    const { state, error } = await taskEnd(client, location);
    expect([state, error.code]).toEqual(['failed', 'Forbidden']);
    expect(error.message).toMatch(takenBack);
    await vi.waitFor(() => expect(working()).toEqual([]), { timeout: 30_000, interval: 50 });
    await store.grant(subject, 'read_files', 'system:lab', {});
  });

  it('ends an upload that waits for its client, whose bytes find no place any more', async () => {
    const upload = { path: at('up'), transferDirectives: { transferMethod: 's3', fileSize: 5 } };
    const location = await withdrawn('transfer', () => submit({ operation: 'transfer.upload', input: upload }));
    const { error } = await taskEnd(client, location);
    expect(error.code).toBe('Forbidden');
    expect(existsSync(at('up'))).toBe(false);
  });

  it('ends a watch, which says why', async () => {
    const submitted = await client.post('/compute/lab/jobs', job('sleep 300'));
    const watched = await client.post('/watches', { system: 'lab', jobId: submitted.body.jobId });
    expect(watched.body).toMatchObject({ consent: { from: '127.0.0.1' } });
    await store.revoke(subject, 'read_files', 'system:lab');
    const over = async () => expect((await client.get(`/watches/${watched.body.id}`)).body.phase).toBe('expired');
    await vi.waitFor(over, { timeout: 30_000, interval: 200 });
    await client.delete(`/compute/lab/jobs/${submitted.body.jobId}`);
    await store.grant(subject, 'read_files', 'system:lab', {});
  });
});

describe('past the end of its consent', () => {
  it('a chain that waits for a job, and an upload that waits for its client, end with DeadlineExceeded', async () => {
    await store.grant(subject, 'transfer', 'system:lab', {});
    const input = { path: at('late'), transferDirectives: { transferMethod: 's3', fileSize: 5 } };
    const steps = [
      { name: 'submit', operation: 'compute.submit-job', input: job('sleep 300') },
      { name: 'wait', operation: 'compute.await-job', input: { jobId: { $from: 'submit/jobId' } } },
    ];
    const locations = await Promise.all(
      [{ steps }, { operation: 'transfer.upload', input }].map((wish) =>
        vi.waitFor(() => submit({ ...wish, deadline: new Date(Date.now() + 4_000).toISOString() }), 20_000),
      ),
    );
    const ends = await Promise.all(locations.map((location) => taskEnd(client, location)));
    expect(ends.map(({ error }) => error.code)).toEqual(['DeadlineExceeded', 'DeadlineExceeded']);
    for (const { finishedAt, deadlineAt } of ends) {
      expect(Date.parse(finishedAt as string)).toBeGreaterThanOrEqual(Date.parse(deadlineAt as string));
    }
    const [submitted] = (ends[0]?.steps ?? []) as { result: { jobId: string } | null }[];
    await client.delete(`/compute/lab/jobs/${submitted?.result?.jobId}`);
  });
});
