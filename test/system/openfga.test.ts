/** A broker that asks OpenFGA, through its API: who gets in, what is shown, and what a revocation or an outage does. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { createLabFolder, reapLab } from '../../lab/lab-folder.ts';
import { type OpenFgaPart, startOpenFga } from '../../lab/parts/openfga.ts';
import { userNamed } from '../../lab/users.ts';
import { createStore, type OpenFgaStore } from '../integration/openfga-fixture.ts';
import { type Answer, type Broker, type Client, clientOf, pathQuery, startBroker, taskEnd } from './broker-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
/** The lab's tokens are those of programs: the client's id is the subject. */
const asAlice = 'service_client:alice';
const home = pathQuery(alice.home);
const stat = `/filesystem/lab/ops/stat?${home}`;
const cacheMs = 2_000;
const waiting = { timeout: 30_000, interval: 100 };

const folder = createLabFolder();
let server: OpenFgaPart;
let store: OpenFgaStore;
let broker: Broker;
let client: Client;
let bob: Client;

beforeAll(async () => {
  server = await startOpenFga(folder);
  store = await createStore(server);
  broker = await startBroker(lab, {
    scheduler: 'process',
    otherSystems: [{ name: 'other', sshd: lab.sshd }],
    goldcrest: {
      authorization: {
        url: server.apiUrl,
        store_id: store.storeId,
        model_id: store.modelId,
        api_token: server.apiToken,
        cache: `${cacheMs}ms`,
      },
    },
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  bob = await clientOf(lab.oidc, broker.url, 'bob');
  await store.grant(asAlice, 'read_files', 'system:lab', {});
});

afterAll(async () => {
  await broker?.stop();
  await server?.stop();
  reapLab(folder);
});

const namesOf = ({ body }: Answer) => (body.systems as { name: string }[]).map(({ name }) => name);
const taskOf = (operation: string, input: Record<string, unknown>, system?: string) => ({ operation, input, system });

describe('a request', () => {
  it('is served where its relation was granted', async () => {
    expect((await client.get(stat)).status).toBe(200);
  });

  it('is 403 where it was not, by either face, and becomes no task', async () => {
    const mkdir = { path: `${alice.home}/not-made` };
    const answers = [
      await bob.get(stat),
      await client.get(stat.replace('/lab/', '/other/')),
      await client.post('/filesystem/lab/ops/mkdir', mkdir),
      await client.post('/tasks', taskOf('filesystem.mkdir', mkdir, 'lab')),
      await client.get('/health/systems/other'),
    ];
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(Array(5).fill([403, 'Forbidden']));
    expect(answers[2]?.body.message).toBe('You may not change files on lab.');
  });

  it('in a batch is judged by itself', async () => {
    const tasks = ['lab', 'other'].map((system) => taskOf('filesystem.stat', { path: alice.home }, system));
    const { body } = await client.post('/tasks/batch', { tasks: [...tasks, taskOf('status.systems', {})] });
    const items = body.items as { status: number; id: string | null }[];
    expect(items.map(({ status }) => status)).toEqual([202, 403, 202]);
    const { result } = await taskEnd(client, `/tasks/${items[2]?.id}`);
    expect((result.systems as { name: string }[]).map(({ name }) => name)).toEqual(['lab']);
  });

  it('is judged before its body is looked at', async () => {
    expect((await client.post('/filesystem/lab/ops/mkdir', {})).status).toBe(403);
  });
});

describe('the list of systems', () => {
  it('has those that the caller may see, in every place where it is shown', async () => {
    const named = `/status/systems?names=${encodeURIComponent('lab,other')}`;
    const accepted = await client.post('/tasks', taskOf('status.systems', { names: 'other,LAB' }));
    const { result } = await taskEnd(client, `/tasks/${accepted.body.id}`);
    expect((result.systems as { name: string }[]).map(({ name }) => name)).toEqual(['lab']);
    for (const path of ['/status/systems', named]) expect(namesOf(await client.get(path))).toEqual(['lab']);
    expect(namesOf(await client.get('/status/systems?names=other'))).toEqual([]);
    expect(namesOf(await bob.get('/status/systems'))).toEqual([]);
    const { body } = await client.get('/health/systems');
    expect((body.systems as { system: string }[]).map(({ system }) => system)).toEqual(['lab']);
  });
});

describe('a grant', () => {
  it('that is made counts within a second or so, and one that is taken back no longer than the cache says', async () => {
    const path = stat.replace('/lab/', '/other/');
    const statusIs = (status: number, timeout: number) =>
      vi.waitFor(async () => expect((await client.get(path)).status).toBe(status), { timeout, interval: 100 });
    await statusIs(403, 20_000);
    await store.grant(asAlice, 'preset_read', 'system:other', { networks: ['127.0.0.0/8'] });
    await statusIs(200, 20_000);
    // Asked in the last moment before: nothing could be remembered for longer.
    expect((await client.get(path)).status).toBe(200);
    await store.revoke(asAlice, 'preset_read', 'system:other');
    const revokedAt = Date.now();
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(revokedAt + cacheMs), { timeout: 30_000, interval: 20 });
    expect((await client.get(path)).status).toBe(403);
  });

  it('for other networks does not count, whatever X-Forwarded-For says', async () => {
    await store.grant('service_client:carol', 'preset_read', 'system:lab', { networks: ['198.51.100.0/24'] });
    const carol = await clientOf(lab.oidc, broker.url, 'carol');
    const headers = { 'x-forwarded-for': '198.51.100.7' };
    expect((await carol.get('/filesystem/lab/ops/stat?path=/tmp', { headers })).status).toBe(403);
  });
});

describe('a worker without goldcrest.authorization', () => {
  it('does nothing that OpenFGA let in, held or in the background, and one that has it goes on', async () => {
    const whole = readFileSync(broker.configFile, 'utf8');
    const lacking = parse(whole) as { goldcrest: Record<string, unknown> };
    delete lacking.goldcrest.authorization;
    await broker.workers[0]?.stop();
    writeFileSync(broker.configFile, stringify(lacking));
    const worker = await broker.addWorker();
    writeFileSync(broker.configFile, whole);
    const held = client.get(stat);
    const { body } = await client.post('/tasks', taskOf('filesystem.stat', { path: alice.home }, 'lab'));
    const log = () => readFileSync(worker.logFile, 'utf8');
    const isNotBegun = new RegExp(`${body.id}.*goldcrest\\.authorization.*cannot be found out whether`);
    try {
      await vi.waitFor(() => expect(log()).toContain('"message":"OpenFGA let this in, and the worker cannot'), waiting);
      await vi.waitFor(() => expect(log()).toMatch(isNotBegun), waiting);
      expect((await client.get(`/tasks/${body.id}`)).body).toMatchObject({ result: null, error: null });
    } finally {
      await worker.stop();
      await broker.addWorker();
    }
    expect((await taskEnd(client, `/tasks/${body.id}`)).state).toBe('completed');
    expect((await held).status).toBe(200);
  });
});

describe('while OpenFGA', () => {
  it('does not answer, work in the background is not begun, and goes on when it does', async () => {
    const notBefore = new Date(Date.now() + 5_000).toISOString();
    const wish = { ...taskOf('filesystem.stat', { path: alice.home }, 'lab'), notBefore };
    const accepted = await client.post('/tasks', wish);
    expect(accepted.status, accepted.text).toBe(202);
    const logOfWorker = broker.workers.at(-1)?.logFile ?? '';
    server.pause();
    try {
      const isAsked = () =>
        expect(readFileSync(logOfWorker, 'utf8')).toContain('cannot be found out whether the task may still run');
      await vi.waitFor(isAsked, { timeout: 30_000, interval: 100 });
      expect((await client.get(`/tasks/${accepted.body.id}`)).body).toMatchObject({ state: 'pending', error: null });
    } finally {
      server.resume();
    }
    expect((await taskEnd(client, `/tasks/${accepted.body.id}`)).state).toBe('completed');
  });

  it('does not answer, nobody is let in, and all is well when it does again', async () => {
    server.pause();
    try {
      await vi.waitFor(async () => expect((await client.get(stat)).status).toBe(503), {
        timeout: 30_000,
        interval: 100,
      });
      const { body, headers } = await client.get(stat);
      expect([body.code, body.retryable, headers.get('retry-after')]).toEqual(['AuthorizationUnavailable', true, '2']);
      expect((await bob.get('/status/systems')).status).toBe(503);
      expect((await client.get('/livez', { token: null })).status).toBe(200);
    } finally {
      server.resume();
    }
    await vi.waitFor(async () => expect((await client.get(stat)).status).toBe(200), 30_000);
  });

  it('is gone, its key is in no log', async () => {
    await server.stop();
    await vi.waitFor(async () => expect((await client.get(stat)).status).toBe(503), { timeout: 30_000, interval: 100 });
    const log = readFileSync(broker.api.logFile, 'utf8');
    expect(log).toContain('It cannot be found out what you may do');
    expect(log).not.toContain(server.apiToken);
  });
});
