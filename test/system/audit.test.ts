/** The audit trail of a running broker: nothing that changes, is refused or is run leaves no record, and nobody changes one unseen. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { runAudit } from '../../cli/audit.ts';
import { createLabFolder, reapLab } from '../../lab/lab-folder.ts';
import { type SshdPart, startSshd } from '../../lab/parts/sshd.ts';
import { userNamed } from '../../lab/users.ts';
import type { AuditRecord } from '../../shared/audit/record.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { findOperation, operationNames } from '../../shared/operations/registry.ts';
import { loadConfig } from '../../shared/platform/config/load-config.ts';
import { connectRedis } from '../../shared/platform/redis.ts';
import { createStore, type OpenFgaStore } from '../integration/openfga-fixture.ts';
import { silent } from '../integration/task-fixture.ts';
import {
  type Answer,
  type Broker,
  type Client,
  clientOf,
  createClient,
  slurmTruth,
  startBroker,
  taskEnd,
} from './broker-fixture.ts';
import { createTokenTable, testIssuer } from './forged-tokens.ts';
import { firecrestRequest, goodInputs, type HttpRequest, taskRequest } from './operation-requests.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const mutations = operationNames
  .map((name) => [name, findOperation(name) as Operation] as const)
  .filter(([, { mutates }]) => mutates);
const key = Buffer.alloc(32, 3).toString('base64');

let store: OpenFgaStore;
let broker: Broker;
let client: Client;
let bob: Client;
let directory: string;
/** Of this test alone: its log tells of every command. */
let sshd: SshdPart;
const folder = createLabFolder();
let administrator: Client;
const tokens = await createTokenTable();

beforeAll(async () => {
  store = await createStore(lab.openfga);
  directory = join(lab.folder, `audit-${randomUUID()}`);
  sshd = await startSshd({ folder, users: lab.users, sessionEnvironment: { SLURM_CONF: lab.slurm.confPath } });
  const jwksFile = join(lab.folder, `${randomUUID()}.jwks.json`);
  writeFileSync(jwksFile, JSON.stringify(tokens.jwks));
  broker = await startBroker(
    { ...lab, sshd },
    {
      workers: 2,
      s3: lab.s3,
      // The one that copies go to.
      otherSystems: [{ name: 'other', sshd }],
      goldcrest: {
        audit: { directory, key },
        issuers: [
          { issuer: lab.oidc.issuer, audiences: [lab.oidc.audience], jwks_urls: [lab.oidc.jwksUri] },
          // Its tokens are those of people, who alone may administer.
          { issuer: testIssuer.issuer, audiences: [testIssuer.audience], jwks_urls: [pathToFileURL(jwksFile).href] },
        ],
        authorization: {
          ...{
            url: lab.openfga.apiUrl,
            store_id: store.storeId,
            model_id: store.modelId,
            api_token: lab.openfga.apiToken,
          },
          cache: '1s',
        },
      },
    },
  );
  client = await clientOf(lab.oidc, broker.url, 'alice');
  bob = await clientOf(lab.oidc, broker.url, 'bob');
  administrator = createClient(broker.url, tokens.good);
  for (const system of ['lab', 'other'])
    await store.grant('service_client:alice', 'administer', `system:${system}`, {});
});

afterAll(async () => {
  await broker?.stop();
  await sshd?.stop();
  reapLab(folder);
});

/** All records on the disk. */
function records(): AuditRecord[] {
  const texts = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
  return texts
    .flatMap((text) => text.split('\n').slice(0, -1)) // what has no end yet is no line
    .map((line) => JSON.parse(line) as AuditRecord);
}

async function sendAs(at: Client, { method, path, body }: HttpRequest, token?: null): Promise<[string, Answer]> {
  const request = randomUUID();
  const options = { headers: { 'x-request-id': request }, ...(body === undefined ? {} : { body }) };
  return [request, await at.send(method, path, token === null ? { ...options, token } : options)];
}

const facesOf = (name: (typeof mutations)[number][0], operation: Operation): HttpRequest[] => [
  firecrestRequest(operation, 'lab', goodInputs[name]),
  ...(operation.bytes === undefined ? [taskRequest(operation, 'lab', goodInputs[name])] : []),
];

describe('the registry', () => {
  it.each(mutations)('%s leaves one record of its request, and one of its end', async (name, operation) => {
    for (const face of facesOf(name, operation)) {
      const [request] = await sendAs(client, face);
      const ofRequest = () => records().filter((record) => record.request === request);
      const asked = ofRequest().filter(({ kind }) => kind === 'request');
      expect(asked).toMatchObject([
        { action: name, system: 'lab', decision: 'allowed', address: '127.0.0.1', actor: { username: alice.username } },
      ]);
      expect(asked[0]?.task).toMatch(/^[0-9a-f-]{36}$/);
      const { path } = goodInputs[name] as { path?: string };
      if (path !== undefined) expect(asked[0]?.target.path).toBe(path);
      if (operation.name === 'transfer.upload' || operation.name === 'transfer.upload-tree') {
        // It waits for its client, who never comes: its end is the cancel, by the API where no worker has it just then.
        const [cancel] = await sendAs(client, { method: 'DELETE', path: `/tasks/${asked[0]?.task}` });
        const [record] = records().filter((one) => one.request === cancel);
        expect(record).toMatchObject({ action: 'DELETE /tasks/{id}', target: { id: asked[0]?.task } });
        continue;
      }
      await vi.waitFor(() => expect(ofRequest().some(({ kind }) => kind === 'task')).toBe(true), { timeout: 60_000 });
      const [{ task, target, actor } = {}] = asked;
      for (const { kind, decision, exitCode, why, as, argv, ...origin } of ofRequest()) {
        // Whoever finds one of them knows who asked, from where and for what.
        expect(origin).toMatchObject({ task, target, actor, action: name, address: '127.0.0.1' });
        if (kind === 'command')
          expect([as, argv?.length, exitCode ?? why ?? (decision === 'answered' || null)]).not.toContain(null);
      }
    }
  });

  it.each(mutations)('%s leaves a record where it is denied, or asked by nobody', async (name, operation) => {
    for (const face of facesOf(name, operation)) {
      const [denied, { status }] = await sendAs(bob, face);
      const [unknown] = await sendAs(bob, face, null);
      expect(status).toBe(403);
      expect(records().filter(({ request }) => request === denied)).toMatchObject(
        [
          {
            kind: 'request',
            action: name,
            decision: 'denied',
            status: 403,
            why: /^Forbidden: You may not/,
            task: null,
          },
        ].map((expected) => ({ ...expected, why: expect.stringMatching(expected.why) as string })),
      );
      const ofNobody = records().filter(({ request }) => request === unknown);
      expect(ofNobody).toMatchObject([{ decision: 'denied', status: 401, actor: null, address: '127.0.0.1' }]);
    }
  });
});

it('every route of the API that may change something leaves a record, of whoever asks and whatever comes of it', async () => {
  const { paths } = (await client.get('/openapi.json')).body as unknown as {
    paths: Record<string, Record<string, object>>;
  };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => ['post', 'put', 'patch', 'delete'].includes(method))
      .map((method) => ({ method: method.toUpperCase(), template: path, path: path.replace(/\{\w+\}/g, 'nosuch') })),
  );
  expect(routes.length).toBeGreaterThan(35);
  for (const { method, path, template } of routes) {
    for (const token of [undefined, null] as const) {
      const body = method === 'DELETE' ? undefined : {};
      const [request, { status }] = await sendAs(bob, { method, path, body }, token === null ? null : undefined);
      const found = records().filter((record) => record.request === request && record.kind === 'request');
      expect([template, found.length]).toEqual([template, 1]);
      expect(found[0]).toMatchObject(token === null ? { status: 401, actor: null } : { actor: { username: 'gcbob' } });
      expect(found[0]?.decision, `${method} ${template} ${status}`).toBe(
        [401, 403].includes(status) ? 'denied' : status >= 400 ? 'refused' : 'allowed',
      );
    }
  }
});

it('each task of a batch, each refused one, a cancel and a webhook leave a record', async () => {
  const request = randomUUID();
  const headers = { 'x-request-id': request };
  const stat = { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } };
  const { body } = await client.post(
    '/tasks/batch',
    { tasks: [stat, { ...stat, system: 'nosuch' }, stat] },
    { headers },
  );
  const [first] = body.items as { id: string }[];
  await client.delete(`/tasks/${first?.id}`, { headers });
  await client.post('/webhooks', { url: 'http://127.0.0.1:18080/x' }, { headers });
  const found = records().filter((record) => record.request === request && record.kind === 'request');
  expect(found.map(({ action, decision }) => `${action} ${decision}`).sort()).toEqual([
    'DELETE /tasks/{id} allowed',
    'POST /webhooks allowed',
    'filesystem.stat allowed',
    'filesystem.stat allowed',
    'filesystem.stat refused',
  ]);
  expect(found.find(({ action }) => action.startsWith('DELETE'))?.target.id).toBe(first?.id);
});

it('a batch that repeats another by its key says of each task that it was there, and which id was not needed', async () => {
  const stat = { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } };
  const headers = { 'idempotency-key': randomUUID() };
  const first = await client.post('/tasks/batch', { tasks: [stat, stat] }, { headers });
  const made = (first.body.items as { id: string }[]).map(({ id }) => id);
  const request = randomUUID();
  await client.post('/tasks/batch', { tasks: [stat, stat] }, { headers: { ...headers, 'x-request-id': request } });
  const found = records().filter((record) => record.request === request && record.kind === 'request');
  const [named, repeats] = [false, true].map((isRepeat) =>
    found.filter(({ why }) => why?.startsWith('a repeat of an earlier request') === isRepeat),
  );
  expect(repeats?.map(({ task }) => task).sort()).toEqual(made.sort());
  expect(repeats?.map(({ why }) => why?.split(' ').at(-1)).sort()).toEqual(named?.map(({ task }) => task).sort());
});

it('every command that the host was asked to run has a record', async () => {
  // sshd is the witness: it logs each session that it starts.
  const sessions = () =>
    readFileSync(sshd.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes('Starting session: command'));
  // A shell that was started ahead is a session of its own until a command takes it over, which then begins none; nor does
  // one that runs in a loop, which is a session too.
  const isTakenOver = ({ kind, decision, argv, why }: AuditRecord) =>
    kind === 'command' &&
    ((decision === 'answered' && argv?.[2]?.includes('GOLDCREST_LINE') === true) ||
      why?.includes('in a shell that was started ahead') === true);
  const begun = (): string[] => {
    const all = records();
    const users = all.filter(({ kind, start }) => kind === 'command-start' || (kind === 'command' && start === null));
    const names = users.map((record) => record.as ?? '');
    for (const { as } of all.filter(isTakenOver)) names.splice(names.indexOf(as ?? ''), 1);
    return names.sort();
  };
  const byHost = (): string[] => sessions().map((line) => /command for (\S+)/.exec(line)?.[1] ?? '');
  await vi.waitFor(() => expect(begun()).toEqual(byHost().sort()), { timeout: 60_000, interval: 500 });
  expect(sessions().length).toBeGreaterThan(mutations.length);
});

it('a job tells in its comment which task it is of, and that which request, user and command', async () => {
  const job = { workingDirectory: '/tmp', script: '#!/bin/sh\nexit 0\n', env: { TOKEN: 'hunter2' } };
  const { body } = await client.post('/tasks', { operation: 'compute.submit-job', system: 'lab', input: { job } });
  const { result } = await taskEnd(client, `/tasks/${body.id}`);
  expect(await slurmTruth(lab.slurm.confPath).jobsWithComment(alice.username, `goldcrest:${body.id}`)).toEqual([
    expect.stringMatching(new RegExp(`^${result.jobId}\\|`)),
  ]);
  const page = await client.get(`/audit?task=${body.id}`);
  const kinds = (page.body.records as AuditRecord[]).map(({ kind }) => kind);
  expect(kinds.slice(0, 2)).toEqual(['task', 'command']);
  expect(kinds.at(-1)).toBe('request');
  const command = (page.body.records as AuditRecord[]).find(({ kind }) => kind === 'command');
  expect(command).toMatchObject({ as: alice.username, decision: 'answered', argv: expect.arrayContaining(['sbatch']) });
  expect(page.text).not.toContain('hunter2');
});

describe('who reads', () => {
  it('everybody their own, page by page, and nobody those of others', async () => {
    const mine = (await bob.get('/audit?limit=200')).body.records as AuditRecord[];
    expect(mine.length).toBeGreaterThan(0);
    expect(new Set(mine.map(({ actor }) => actor?.username))).toEqual(new Set(['gcbob']));
    const paged: AuditRecord[] = [];
    for (let next: unknown = ''; next !== null; ) {
      const { body } = await bob.get(`/audit?limit=7${next === '' ? '' : `&cursor=${next}`}`);
      paged.push(...(body.records as AuditRecord[]));
      next = body.next;
    }
    expect(paged.slice(-mine.length)).toEqual(mine);
    for (const path of ['/audit?scope=all', '/audit/export?scope=all']) expect((await bob.get(path)).status).toBe(403);
    const of = (await bob.get('/audit?user=gcalice')).body.records;
    expect(of).toEqual([]);
  });

  it('administrators those of all, and as lines', async () => {
    expect((await administrator.get('/audit?scope=all')).status).toBe(403);
    await store.grant(`user:${testIssuer.username}`, 'administer', 'broker:goldcrest');
    const isAllowed = async () => expect((await administrator.get('/audit?scope=all')).status).toBe(200);
    await vi.waitFor(isAllowed, { timeout: 30_000, interval: 200 });
    const denied = await administrator.get('/audit?scope=all&user=gcbob&action=compute.cancel-job&kind=request');
    expect((denied.body.records as AuditRecord[]).length).toBeGreaterThan(0);
    const { text } = await administrator.get('/audit/export?scope=all');
    const onDisk = new Set(
      readdirSync(directory).flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n')),
    );
    expect(
      text
        .trimEnd()
        .split('\n')
        .every((line) => onDisk.has(line)),
    ).toBe(true);
  });
});

it('the names of owners are asked for once, not once for each listing', async () => {
  const listing = `/filesystem/lab/ops/ls?${new URLSearchParams({ path: alice.home })}`;
  const commandsOf = async (): Promise<AuditRecord[]> => {
    const [request, answer] = await sendAs(client, { method: 'GET', path: listing });
    expect(answer.status).toBe(200);
    return records().filter((record) => record.kind === 'command' && record.request === request);
  };
  // Each of the two workers may ask once for users and for groups.
  const commands: AuditRecord[] = [];
  for (let times = 0; times < 12; times += 1) commands.push(...(await commandsOf()));
  expect(commands.filter(({ argv }) => argv?.[0] === 'getent').length).toBeLessThanOrEqual(4);
});

describe('goldcrest audit verify', () => {
  const verify = async (...paths: string[]) => {
    const printed: string[] = [];
    const print = (line: string) => void printed.push(line);
    const status = await runAudit(['verify', ...paths], {
      env: { GOLDCREST_CONFIG: broker.configFile },
      print,
      complain: print,
    });
    return { status, text: printed.join('\n') };
  };

  it('finds the chains of all processes whole, that of a killed worker too', async () => {
    const killed = broker.workers[1];
    await killed?.kill();
    await broker.stop();
    const { status, text } = await verify();
    expect(status, text).toBe(0);
    expect(text).toMatch(/^Redis: \d+ records of 3 processes: whole$/m);
    expect(text.match(/, ended$/gm)).toHaveLength(4); // the API and a worker, in Redis and on the disk
    expect(text.match(/, not ended/gm)).toHaveLength(2);
  });

  it('finds a line that was changed, removed, moved or cut in a file', async () => {
    const file = join(directory, readdirSync(directory).find((name) => name.startsWith('api-')) ?? '');
    const whole = readFileSync(file, 'utf8');
    const lines = whole.split('\n');
    const with_ = (change: (rows: string[]) => string[]) => change([...lines]).join('\n');
    const tampered = {
      changed: whole.replace('gcbob', 'gceve'),
      removed: with_((rows) => rows.toSpliced(4, 1)),
      moved: with_((rows) => rows.toSpliced(4, 2, rows[5] ?? '', rows[4] ?? '')),
      cut: whole.slice(0, -30),
      shortened: with_((rows) => rows.slice(0, -3)),
      emptied: '',
    };
    for (const [title, text] of Object.entries(tampered)) {
      writeFileSync(file, text);
      expect((await verify()).status, title).toBe(1);
    }
    writeFileSync(file, whole);
    expect((await verify()).status).toBe(0);
  });

  it('finds a record that was removed from Redis, the last one and all of a process too', async () => {
    const redis = connectRedis(lab.redis.url, 'persist', silent);
    const { keyPrefix } = loadConfig({ env: { GOLDCREST_CONFIG: broker.configFile } }).config.redis;
    const stream = `${keyPrefix}:audit`;
    try {
      const rows = (await redis.xrange(stream, '-', '+')).map(([id, [, text = '']]) => ({ id, text }));
      const ofWorker = rows.filter(({ text }) => text.startsWith('{"writer":"worker-'));
      const [writer = ''] = /"writer":"[^"]+"/.exec(ofWorker.at(-1)?.text ?? '') ?? [];
      const chain = rows.filter(({ text }) => text.includes(writer));
      expect(chain.length).toBeGreaterThan(10);
      const removals = [
        [chain.slice(-1), /^BROKEN worker-\S+: the records after \d+ are missing/m],
        [chain.slice(4, 5), /^BROKEN \S+: worker-\S+: 1 records are missing after/m],
        [chain.slice(0, -1), /^BROKEN worker-\S+: all of its records are missing/m],
      ] as const;
      for (const [removed, found] of removals) {
        await redis.xdel(stream, ...removed.map(({ id }) => id));
        const { status, text } = await verify();
        expect([status, text]).toEqual([1, expect.stringMatching(found)]);
      }
      await redis.del(stream);
      expect(await verify()).toMatchObject({
        status: 1,
        text: expect.stringContaining('all of its records are missing'),
      });
    } finally {
      redis.disconnect();
    }
  });
});
