/** Two users on one broker: nothing of one reaches the other, by whatever route. */
import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { pathFieldsOf } from '../../shared/operations/paths.ts';
import { findOperation, operationNames } from '../../shared/operations/registry.ts';
import { createStore } from '../integration/openfga-fixture.ts';
import { type Receiver, startReceiver } from '../integration/webhook-receiver.ts';
import { type Broker, type Client, clientOf, createClient, pathQuery, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { firecrestRequest, goodInputs, taskRequest } from './operation-requests.ts';
import { directivesOf, taskIdOf } from './transfer-fixture.ts';
import { makeThings } from './users-things.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
/** In whatever is alice's alone. */
const mark = `alices-${randomBytes(6).toString('hex')}`;

interface OpenApi {
  paths: Record<string, Record<string, unknown>>;
}

let broker: Broker;
let client: Client;
let bob: Client;
let bobsToken: string;
let own: OwnDirectory;
let document: OpenApi;
/** By the name of a path parameter and the first word of the route: what a stranger would guess. */
let ids: Record<string, Record<string, string>>;
let ticket: string;
let receiver: Receiver;

beforeAll(async () => {
  const store = await createStore(lab.openfga);
  receiver = await startReceiver((response) => response.writeHead(204).end());
  broker = await startBroker(lab, {
    s3: lab.s3,
    webhookPorts: [18_080, receiver.port],
    goldcrest: {
      authorization: {
        url: lab.openfga.apiUrl,
        store_id: store.storeId,
        model_id: store.modelId,
        api_token: lab.openfga.apiToken,
      },
    },
  });
  for (const name of ['alice', 'bob']) await store.grant(`service_client:${name}`, 'preset_full', 'system:lab', {});
  bobsToken = await requestToken(lab.oidc, 'bob');
  client = await clientOf(lab.oidc, broker.url, 'alice');
  bob = createClient(broker.url, bobsToken);
  own = homeDirectory(alice);
  chmodSync(own.path, 0o700);
  document = (await client.get('/openapi.json')).body as unknown as OpenApi;
  const things = await makeThings(client, own, mark, `whsec_${randomBytes(32).toString('base64')}`);
  ids = things.ids;
  ticket = String(things.ticket.body.ticket);
});

afterAll(async () => {
  await client?.delete(`/compute/lab/jobs/${ids?.compute?.job_id}`);
  own?.remove();
  await broker?.stop();
  await receiver?.close();
});

/** Every method and address of the document that names something by an id, with alice's ids in it. */
function guesses(): { method: string; address: string; template: string; random: string }[] {
  return Object.entries(document.paths).flatMap(([template, methods]) => {
    const [, word = ''] = template.split('/');
    const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    if (names.every((name) => name === 'system_name')) return [];
    const fill = (of: (name: string) => string): string =>
      template.replaceAll(/\{(\w+)\}/g, (_match, name: string) => of(name));
    const known = (name: string): string => {
      const id = ids[word]?.[name];
      if (id === undefined) throw new Error(`${template}: say here what a stranger would guess for ${name}`);
      return id;
    };
    const address = fill(known);
    const random = fill((name) => (name === 'system_name' ? 'lab' : known(name).replace(/[0-9a-f]{6}$/, '000000')));
    return Object.keys(methods).map((method) => ({ method: method.toUpperCase(), address, template, random }));
  });
}

/** Names, modes, owners and contents of alice's files, but for what her job writes. */
function stateOfFiles(): unknown[] {
  return readdirSync(own.path)
    .filter((name) => !name.endsWith('.out'))
    .map((name) => {
      const { mode, uid, size, mtimeMs } = lstatSync(join(own.path, name));
      return [name, mode, uid, size, mtimeMs, readFileSync(join(own.path, name), 'utf8')];
    });
}

const bodies: Record<string, unknown> = {
  'PATCH /webhooks/{id}': { description: 'mine now' },
  'POST /webhooks/{id}/rotate': {},
  'POST /webhooks/{id}/redeliver': { since: '2020-01-01T00:00:00Z' },
  'PUT /compute/{system_name}/jobs/{job_id}/attach': { command: 'true' },
};

describe('another user', () => {
  it('is answered for a guessed id as for one that does not exist, by every route', async () => {
    const tried = guesses().filter(({ template }) => !template.startsWith('/compute'));
    expect(tried.length).toBeGreaterThan(12);
    for (const { method, address, template, random } of tried) {
      const options = { body: bodies[`${method} ${template}`] ?? (method === 'POST' ? {} : undefined) };
      const guessed = await bob.send(method, address, options);
      expect([400, 404], `${method} ${template}: ${guessed.text}`).toContain(guessed.status);
      const { status, body } = await bob.send(method, random, options);
      expect([guessed.status, guessed.body.message], `${method} ${template}`).toEqual([status, body.message]);
      expect(guessed.text, template).not.toContain(mark);
    }
    expect((await client.get(`/webhooks/${ids.webhooks?.id}`)).body).toMatchObject({ description: mark });
  });

  it('changes no job, and knows no transfer by its job', async () => {
    // To watch a job that the scheduler shows is to read it.
    const isChange = ({ template, method }: { template: string; method: string }): boolean =>
      template.startsWith('/compute') && method !== 'GET' && !template.endsWith('/watch');
    const tried = guesses().filter(isChange);
    expect(tried.length).toBeGreaterThan(4);
    const before = (await client.get(`/compute/lab/jobs/${ids.compute?.job_id}`)).body.jobs[0];
    for (const { method, address, template } of tried) {
      const body = bodies[`${method} ${template}`] ?? (method === 'DELETE' ? undefined : { name: 'mine' });
      const { status, text } = await bob.send(method, address, { body });
      expect(status, `${method} ${template}: ${text}`).toBeGreaterThanOrEqual(400);
    }
    const after = (await client.get(`/compute/lab/jobs/${ids.compute?.job_id}`)).body.jobs[0];
    expect([after?.name, after?.status.state]).toEqual([mark, before?.status.state]);
    for (const method of ['GET', 'DELETE']) {
      const { status, text } = await bob.send(method, `/compute/lab/jobs/${ids.transfer?.job_id}`);
      expect([method, status >= 400 || !text.includes(mark)]).toEqual([method, true]);
    }
    expect((await bob.get(`/compute/lab/jobs/${ids.transfer?.job_id}`)).status).not.toBe(200);
  });

  it('reads nothing that her job writes, by any route of it', async () => {
    const output = join(own.path, `slurm-${ids.compute?.job_id}.out`);
    const written = () => expect(readFileSync(output, 'utf8')).toContain(`content ${mark}`);
    await vi.waitFor(written, { timeout: 30_000, interval: 100 });
    // To wait for the end of a job is to hear its state, and no more.
    const isRead = ({ template, method }: { template: string; method: string }): boolean =>
      template.startsWith('/compute') && method === 'GET' && !template.endsWith('/end');
    const tried = guesses().filter(isRead);
    expect(tried.length).toBeGreaterThan(3);
    for (const { address, template } of tried) {
      const { text } = await bob.get(address);
      expect(text, template).not.toContain(`content ${mark}`);
    }
    expect((await client.get(`/compute/lab/jobs/${ids.compute?.job_id}/logs`)).text).toContain(`content ${mark}`);
  });

  it('has a task of his own by the Idempotency-Key that she used', async () => {
    const headers = { 'idempotency-key': `key-${mark}` };
    const stat = { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } };
    const [hers, his, again] = [
      await client.post('/tasks', stat, { headers }),
      await bob.post('/tasks', stat, { headers }),
      await client.post('/tasks', stat, { headers }),
    ];
    expect(his.body.id).not.toBe(hers.body.id);
    expect([his.headers.get('idempotency-key-reply'), again.body.id]).toEqual(['miss', hers.body.id]);
  });

  it('is told by his webhook of his tasks, and of none of hers', async () => {
    const made = await bob.post('/webhooks', { url: receiver.url });
    expect(made.status, made.text).toBe(201);
    const stat = { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } };
    const hers = await client.post('/tasks', { ...stat, tags: [mark] });
    await taskEnd(client, `/tasks/${hers.body.id}`);
    const his = await bob.post('/tasks', stat);
    const told = () => expect(receiver.received.some(({ body }) => body.includes(his.body.id))).toBe(true);
    await vi.waitFor(told, { timeout: 30_000, interval: 50 });
    const all = receiver.received.map(({ body }) => body).join('\n');
    for (const id of [hers.body.id, ids.tasks?.id, ids.transfer?.id, mark]) expect(all).not.toContain(id);
    await bob.delete(`/webhooks/${made.body.id}`);
  });

  it('sees nothing in any list', async () => {
    const lists = Object.entries(document.paths).filter(([path, { get }]) => get !== undefined && !path.includes('{'));
    const streams = ['/events'];
    for (const [path] of lists.filter(([name]) => !streams.includes(name))) {
      const { text } = await bob.get(path);
      expect(text, path).not.toContain(mark);
    }
    expect((await client.get('/tasks')).text).toContain(mark);
  });

  it('gets at none of her files, and changes none, by any operation of the registry that names a path', async () => {
    const file = join(own.path, mark);
    const before = stateOfFiles();
    const operations = operationNames.map((name) => [name, findOperation(name) as Operation] as const);
    const onPaths = operations.filter(([, { paths, peer }]) => paths.length > 0 || peer !== undefined);
    expect(onPaths.length).toBeGreaterThan(25);
    const tries = onPaths.map(async ([name, operation]) => {
      const others = pathFieldsOf(operation).filter(({ field }) => field !== 'path');
      const elsewhere = Object.fromEntries(others.map(({ field }) => [field, `${file}-${field}`]));
      const input = { ...goodInputs[name], path: file, ...elsewhere };
      const byRoute = operation.bytes !== undefined;
      const { method, path, body } = (byRoute ? firecrestRequest : taskRequest)(operation, 'lab', input);
      const answer = await bob.send(method, path, body === undefined ? {} : { body });
      const end = answer.status === 202 ? await taskEnd(bob, `/tasks/${answer.body.id}`) : null;
      expect([name, end?.state ?? answer.status >= 400], answer.text).toEqual([name, end === null ? true : 'failed']);
      expect([name, (JSON.stringify(end) + answer.text).includes(`content ${mark}`)]).toEqual([name, false]);
    });
    await Promise.all(tries);
    expect(stateOfFiles()).toEqual(before);
  });

  it('is told nothing by the stream of events, and opens none with a ticket that was used or made up', async () => {
    const stop = new AbortController();
    const headers = { authorization: `Bearer ${bobsToken}`, 'last-event-id': '0-0' };
    const response = await fetch(`${broker.url}/events`, { headers, signal: stop.signal });
    let text = '';
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    const stat = (who: Client) =>
      who.post('/tasks', { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } });
    const of = await stat(client);
    await taskEnd(client, `/tasks/${of.body.id}`);
    const mine = await stat(bob);
    await vi.waitFor(
      () =>
        expect(text).toMatch(
          new RegExp(`task.completed[\\s\\S]*${mine.body.id}|${mine.body.id}[\\s\\S]*task.completed`),
        ),
      { timeout: 30_000 },
    );
    stop.abort();
    await reading;
    for (const id of [of.body.id, ids.tasks?.id, ids.transfer?.id]) expect(text).not.toContain(id);
    const guess = ticket.replace(/.{4}$/, 'AAAA');
    expect((await bob.get(`/events?ticket=${guess}`, { token: null })).status).toBe(401);
  });

  it('is refused by the cluster what alice just read, however often both ask at once', async () => {
    const file = join(own.path, mark);
    const reads = ['head', 'tail', 'view', 'stat', 'checksum', 'file', 'ls', 'download'];
    const ask = (who: Client, operation: string) => who.get(`/filesystem/lab/ops/${operation}?${pathQuery(file)}`);
    for (const operation of reads) {
      const both = await Promise.all(Array.from({ length: 6 }, (_, at) => ask(at % 2 === 0 ? client : bob, operation)));
      both.forEach((answer, at) => {
        if (at % 2 === 0) expect([operation, answer.status]).toEqual([operation, 200]);
        else {
          expect([operation, [403, 404]], answer.text).toEqual([operation, expect.arrayContaining([answer.status])]);
          expect(answer.text).not.toContain(`content ${mark}`);
        }
      });
    }
    const infos = await Promise.all(
      Array.from({ length: 10 }, (_, at) => (at % 2 === 0 ? client : bob).get('/status/lab/userinfo')),
    );
    infos.forEach(({ text }, at) => {
      expect([text.includes('gcalice'), text.includes('gcbob')]).toEqual([at % 2 === 0, at % 2 === 1]);
    });
  });

  it('cannot turn an address that is signed for him into one of hers', async () => {
    const wish = { path: '/tmp/goldcrest-none-bob', transferDirectives: { transferMethod: 's3', fileSize: 5 } };
    const upload = await bob.post('/filesystem/lab/transfer/upload', wish);
    const url = new URL(directivesOf(upload).partsUploadUrls[0] ?? '');
    expect(url.pathname).toContain('/gcbob/');
    url.pathname = url.pathname.replace('gcbob', alice.username);
    expect((await fetch(url, { method: 'PUT', body: 'hello' })).status).toBe(403);
    await bob.delete(`/tasks/${taskIdOf(upload)}`);
  });
});
