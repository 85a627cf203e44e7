/** FirecREST v2's recorded answers, asked again of the running broker in the same order; the fixture says where we differ. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { type Answer, type Broker, type Client, clientOf, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { type UpstreamRoute, upstreamRoutes } from './routes-fixture.ts';
import { expectedFields, wrongFields } from './schema-fields.ts';

interface Exchange {
  /** Method and path; `{home}` is a directory of the user's own, `{homes}` the one above all users'. */
  request: string;
  token?: 'none' | 'stranger';
  json?: unknown;
  text?: string;
  upload?: { field: string; name: string; sizeBytes: number };
  status: number;
  headers?: string[];
  body?: unknown;
  fields?: Record<string, string>;
  errorType?: 'error' | 'validation';
  /** `location name` of the fields that a validation error names. */
  invalid?: string[];
  says?: string;
  ours?: { status: number; because: string; says?: string };
}

const file = new URL('../fixtures/firecrest-v2/exchanges.json', import.meta.url);
const { exchanges } = JSON.parse(readFileSync(file, 'utf8')) as { exchanges: Exchange[] };

/** In every answer of ours, and in every one of upstream's that its own code made. */
const everyHeader = ['f7t-timestamp', 'f7t-appversion', 'x-request-id', 'x-correlation-id'];

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const limitBytes = 65_536;

let broker: Broker;
let client: Client;
let own: OwnDirectory;
let places: Record<string, string>;

/** What the recorded requests met. */
function furnish(): void {
  const at = (name: string) => join(own.path, name);
  for (const name of ['t', 't/sub', 't/noperm']) mkdirSync(at(name));
  const numbers = Array.from({ length: 20 }, (_, index) => `${index + 1}\n`).join('');
  const texts = { 't/n.txt': numbers, 't/quo"te': 'x', 't/empty': '', 't/sub/a.txt': 'a', 't/sub/b': 'b' };
  for (const [name, text] of Object.entries(texts)) writeFileSync(at(name), text);
  for (const [name, size] of [
    ['big', 2 * limitBytes],
    ['exact', limitBytes],
    ['s49150', 49_150],
    ['s49152', 49_152],
  ] as const) {
    writeFileSync(at(`t/${name}`), Buffer.alloc(size));
  }
  writeFileSync(at('s.sh'), '#!/bin/sh\n#SBATCH --hold\n');
  symlinkSync('n.txt', at('t/lnk'));
  symlinkSync('nowhere', at('t/broken'));
  for (const [option, name] of [
    ['-czf', 'sub.tgz'],
    ['-cJf', 'sub.tar.xz'],
  ] as const) {
    execFileSync('tar', [option, at(`t/${name}`), '-C', at('t'), 'sub']);
  }
  own.giveAway();
  chmodSync(at('t/noperm'), 0);
}

async function submit(script: string): Promise<string> {
  const { status, text, body } = await client.post('/compute/lab/jobs', {
    job: { workingDirectory: own.path, script },
  });
  expect(status, text).toBe(201);
  return body.jobId;
}

beforeAll(async () => {
  const fileSystems = [dirname(alice.home), '/tmp'].map((path) => ({ path, data_type: 'users' }));
  const keys = { [alice.username]: { private_key: `secret_file:${alice.privateKeyPath}` } }; // nobody else has one
  broker = await startBroker(lab, {
    fileSystems,
    dataOperation: { max_ops_file_size: limitBytes },
    goldcrest: { ssh_credentials: { type: 'SSHStaticKeys', keys } },
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(alice);
  furnish();
  const running = await submit('#!/bin/sh\nsleep 60\n');
  const job = await submit('#!/bin/sh\n#SBATCH --hold\n');
  places = {
    ...{ home: own.path, homes: dirname(alice.home), user: alice.username, system: 'lab' },
    ...{ job, running, noJob: '999999999' },
  };
  await vi.waitFor(async () => {
    const { body } = await client.get(`/compute/lab/jobs/${running}`);
    expect(body.jobs[0]?.status.state).toBe('RUNNING');
  }, 30_000);
});

afterAll(async () => {
  if (places !== undefined) await client.delete(`/compute/lab/jobs/${places.running}`);
  own?.remove();
  await broker?.stop();
});

const placed = (text: string): string => text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => places[name] ?? whole);

function placedIn(value: unknown): unknown {
  return JSON.parse(placed(JSON.stringify(value))) as unknown;
}

async function replay({ request, token, json, text, upload }: Exchange): Promise<Answer> {
  const [method = '', path = ''] = placed(request).split(' ');
  const asker = token === 'stranger' ? await clientOf(lab.oidc, broker.url, 'bob') : client;
  const body = json === undefined ? text : placedIn(json);
  const form = upload === undefined ? {} : formOf(upload);
  return await asker.send(method, path, {
    ...(token === 'none' ? { token: null } : {}),
    ...(body === undefined ? {} : { body }),
    ...form,
  });
}

function formOf({ field, name, sizeBytes }: NonNullable<Exchange['upload']>) {
  const head = `--X123\r\nContent-Disposition: form-data; name="${field}"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  return {
    body: `${head}${'x'.repeat(sizeBytes)}\r\n--X123--\r\n`,
    headers: { 'content-type': 'multipart/form-data; boundary=X123' },
  };
}

/** The route of a request; undefined where we have none, or upstream has none. */
function routeOf(request: string): UpstreamRoute | undefined {
  const [method, path = ''] = request.split(/[ ?]/);
  return upstreamRoutes.find((route) => {
    const pattern = route.path.replace(/\{system_name\}/, '\\{system\\}').replaceAll(/\{job_id\}/g, '\\{\\w+\\}');
    return route.method === method && new RegExp(`^${pattern}$`).test(path);
  });
}

function expectError({ body, text }: Answer, exchange: Exchange, says: string | undefined): void {
  const errorType = exchange.ours === undefined ? exchange.errorType : expect.stringMatching(/^(error|validation)$/);
  expect(body, text).toMatchObject({ errorType, message: expect.any(String) });
  expect(body.errorType === 'validation').toBe(body.data !== null);
  expect(Object.keys(body)).toEqual(expect.arrayContaining(['causedBy', 'data', 'user']));
  if (says !== undefined) expect(body.message).toContain(placed(says));
}

/** Every field that upstream says was wrong, we name too. */
function expectInvalid({ body }: Answer, invalid: readonly string[]): void {
  const { fields } = body.data as { fields: { location: string; name: unknown }[] };
  const named = fields.map(({ location, name }) => `${location} ${String(name)}`);
  expect(named).toEqual(expect.arrayContaining([...invalid]));
}

function expectSuccess(answer: Answer, { request, body, fields }: Exchange): void {
  if (body !== undefined) expect(answer.body).toEqual(placedIn(body));
  const route = routeOf(request);
  const expected = fields ?? route?.answer ?? {};
  expect(wrongFields(answer.body, expectedFields(expected))).toEqual([]);
}

const isServed = ({ request }: Exchange): boolean => routeOf(request) !== undefined || !request.includes('/ops/');

/** Requests may repeat; a number keeps their names apart. */
const rows = exchanges.map((exchange, index) => {
  const { request, status, ours } = exchange;
  const answer =
    ours === undefined ? `${status} as recorded` : `${ours.status}, where ${status} was recorded: ${ours.because}`;
  return [`${index + 1}. ${request} is ${answer}`, exchange] as const;
});

it.each(rows.filter(([, exchange]) => isServed(exchange)))('%s', async (_title, exchange) => {
  const answer = await replay(exchange);
  const { status, says } = exchange.ours ?? exchange;
  expect(answer.status, answer.text).toBe(status);
  for (const name of everyHeader) expect(answer.headers.has(name), name).toBe(true);
  if (status >= 400) expectError(answer, exchange, says);
  if (exchange.ours !== undefined) return;
  for (const name of exchange.headers ?? []) expect(answer.headers.has(name), name).toBe(true);
  if (exchange.invalid !== undefined) expectInvalid(answer, exchange.invalid);
  if (status < 300 && answer.body !== undefined) expectSuccess(answer, exchange);
});
