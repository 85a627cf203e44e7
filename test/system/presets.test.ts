/**
 * Programs with weak grants, as `goldcrest authz` makes them on a real OpenFGA server: what each preset lets them do, over the
 * registry; for how long, from where, in which directories; and what administrators are shown of the tasks of others.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { runAuthz } from '../../cli/authz.ts';
import { userNamed } from '../../lab/users.ts';
import { type Preset, presets } from '../../shared/authorization/authorization-model.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { findOperation, operationNames } from '../../shared/operations/registry.ts';
import { createStore, type OpenFgaStore } from '../integration/openfga-fixture.ts';
import { type Broker, type Client, clientOf, createClient, pathQuery, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { firecrestRequest, goodInputs } from './operation-requests.ts';
import { createPersonIssuer, type PersonIssuer } from './person-issuer.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
/** The broker is told that its peer is a proxy, which says where each request comes from. */
const near = { 'x-forwarded-for': '10.1.2.3' };
const far = { 'x-forwarded-for': '10.1.2.3, 192.0.2.1' };
const holders = { preset_read: 'bob', preset_transfer: 'carol', preset_submit: 'dash', preset_full: 'zsh' } as const;
const onSystems = operationNames
  .map((name) => [name, findOperation(name) as Operation] as const)
  .filter(([, { scope }]) => scope === 'system');

let store: OpenFgaStore;
let broker: Broker;
let people: PersonIssuer;
let own: OwnDirectory;
const clients = {} as Record<string, Client>;

/** As an operator does it. */
async function authz(...words: string[]): Promise<void> {
  const said: string[] = [];
  const at = ['--url', lab.openfga.apiUrl, '--store', store.storeId, '--token-file', join(lab.folder, 'fga-token')];
  const io = {
    env: {},
    print: (line: string) => void said.push(line),
    complain: (line: string) => void said.push(line),
  };
  expect(await runAuthz([...words, ...at], io), said.join('\n')).toBe(0);
}

const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
const within = (ms: number) => ['--until', inMs(ms), '--from', '10.0.0.0/8'];
const codeOf = ({ status, body }: { status: number; body: { code: string } }) =>
  status === 403 && body.code === 'Forbidden' ? 'Forbidden' : 'let in';

beforeAll(async () => {
  store = await createStore(lab.openfga);
  writeFileSync(join(lab.folder, 'fga-token'), lab.openfga.apiToken);
  people = await createPersonIssuer(lab.folder, 'people');
  broker = await startBroker(lab, {
    scheduler: 'process',
    goldcrest: {
      api: { trusted_proxies: ['127.0.0.1/32'] },
      issuers: [
        { issuer: lab.oidc.issuer, audiences: [lab.oidc.audience], jwks_urls: [lab.oidc.jwksUri] },
        people.settings,
      ],
      webhooks: { sealing_keys: [{ id: 'k', key: randomBytes(32).toString('base64') }] },
      authorization: {
        ...{ url: lab.openfga.apiUrl, store_id: store.storeId, model_id: store.modelId },
        ...{ api_token: lab.openfga.apiToken, cache: '200ms' },
      },
    },
  });
  for (const name of [...Object.values(holders), 'alice', 'fish']) {
    clients[name] = await clientOf(lab.oidc, broker.url, name);
  }
  for (const [preset, name] of Object.entries(holders)) {
    await authz('grant', `service_client:${name}`, preset, 'system:lab', ...within(3_600_000));
  }
  own = homeDirectory(alice);
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

describe.each(Object.entries<Preset>(presets))('%s', (preset, { relations }) => {
  const client = () => clients[holders[preset as keyof typeof holders]] as Client;
  const ask = async (headers: Record<string, string>) => {
    const answers = await Promise.all(
      onSystems.map(async ([name, operation]) => {
        const { method, path, body } = firecrestRequest(operation, 'lab', goodInputs[name]);
        const sent = body === undefined ? { headers } : { headers, body };
        return [name, codeOf(await client().send(method, path, sent))] as const;
      }),
    );
    return Object.fromEntries(answers);
  };
  const expected = (isLetIn: (operation: Operation) => boolean) =>
    Object.fromEntries(onSystems.map(([name, operation]) => [name, isLetIn(operation) ? 'let in' : 'Forbidden']));

  it('lets a program do what it says and nothing else, over the registry', async () => {
    const may = new Set<string>(['view_status', ...relations]);
    expect(await ask(near)).toEqual(expected(({ relation }) => may.has(relation)));
  });

  it('lets it do nothing from elsewhere, as the last proxy that is trusted says', async () => {
    expect(await ask(far)).toEqual(expected(() => false));
    expect((await client().get('/status/systems', { headers: far })).body.systems).toEqual([]);
    expect((await client().get('/status/systems', { headers: near })).body.systems).toHaveLength(1);
  });
});

it('a grant that has run out lets nobody in, and ends what was to begin later', async () => {
  const grant = ['service_client:fish', 'preset_read', 'system:lab'];
  await authz('grant', ...grant, ...within(6_000));
  const notBefore = inMs(6_500);
  const fish = clients.fish as Client;
  const stat = { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } };
  const later = await fish.post('/tasks', { ...stat, notBefore }, { headers: near });
  expect([later.status, (await fish.post('/tasks', stat, { headers: near })).status]).toEqual([202, 202]);
  const { state, error } = await taskEnd(fish, `/tasks/${later.body.id}`);
  expect([state, error.code]).toEqual(['failed', 'Forbidden']);
  expect((await fish.post('/tasks', stat, { headers: near })).status).toBe(403);
  await authz('revoke', ...grant);
});

describe('a grant for a directory', () => {
  it('holds where the path really lies, links followed, and for nothing that names no path', async () => {
    const granted = join(own.path, 'granted');
    mkdirSync(granted);
    writeFileSync(join(granted, 'in'), 'in\n');
    writeFileSync(join(own.path, 'out'), 'out\n');
    symlinkSync(join(own.path, 'out'), join(granted, 'link'));
    own.giveAway();
    await authz('grant', 'service_client:alice', 'preset_transfer', 'system:lab', ...within(60_000), '--path', granted);
    const asks = [join(granted, 'in'), granted, join(own.path, 'out'), join(granted, 'link'), `${granted}-not`].map(
      (path) => `/filesystem/lab/ops/stat?${pathQuery(path)}&dereference=true`,
    );
    const client = clients.alice as Client;
    const answers = await Promise.all(asks.map((path) => client.get(path, { headers: near })));
    expect(answers.map(codeOf)).toEqual(['let in', 'let in', 'Forbidden', 'Forbidden', 'Forbidden']);
    expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([200, 200]);
    const made = await client.post('/filesystem/lab/ops/mkdir', { path: join(own.path, 'x') }, { headers: near });
    expect([codeOf(made), existsSync(join(own.path, 'x'))]).toEqual(['Forbidden', false]);
    const logs = await client.get('/compute/lab/jobs/1/logs', { headers: near });
    expect(codeOf(logs)).toBe('Forbidden');
    expect(codeOf(await client.get('/status/lab/userinfo', { headers: near }))).toBe('let in');
  });
});

describe('tasks and webhooks of others', () => {
  it('are found by administrators, without their contents, and canceled by them; by nobody else', async () => {
    const zsh = clients.zsh as Client;
    const bob = clients.bob as Client;
    const stat = { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } };
    const done = await zsh.post('/tasks', stat, { headers: near });
    await taskEnd(zsh, `/tasks/${done.body.id}`);
    const waiting = await zsh.post('/tasks', { ...stat, notBefore: inMs(600_000) }, { headers: near });
    const hook = await zsh.post('/webhooks', { url: 'https://receiver.example.org/x' });
    const person = createClient(broker.url, await people.sign('gcbob', 300));
    const look = async () =>
      (await Promise.all([`/tasks/${done.body.id}`, `/webhooks/${hook.body.id}`].map((path) => person.get(path)))).map(
        ({ status }) => status,
      );
    expect(await look()).toEqual([404, 404]);
    await authz('grant', 'user:gcbob', 'administer', 'broker:goldcrest');
    await vi.waitFor(async () => expect(await look()).toEqual([200, 200]), { timeout: 30_000, interval: 100 });
    const seen = await person.get(`/tasks/${done.body.id}`);
    expect(seen.body).toMatchObject({ state: 'completed', input: null, result: null, consent: { subject: 'zsh' } });
    expect((await person.get(`/tasks/${done.body.id}/result`)).status).toBe(404);
    expect((await person.delete(`/webhooks/${hook.body.id}`)).status).toBe(404);
    expect((await bob.delete(`/tasks/${waiting.body.id}`, { headers: near })).status).toBe(404);
    expect((await person.delete(`/tasks/${waiting.body.id}`)).body).toMatchObject({ state: 'canceled', input: null });
    expect((await zsh.get(`/tasks/${waiting.body.id}`)).body.state).toBe('canceled');
    await authz('revoke', 'user:gcbob', 'administer', 'broker:goldcrest');
  });
});
