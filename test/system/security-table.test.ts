/** For every operation of the registry: who is turned away, what input is refused, and that no shell ever acts on any of it. */
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { hasBody, type Operation } from '../../shared/operations/operation.ts';
import { pathFieldsOf } from '../../shared/operations/paths.ts';
import { findOperation, operationNames } from '../../shared/operations/registry.ts';
import {
  type Answer,
  type Broker,
  type Client,
  clientOf,
  createClient,
  pathQuery,
  startBroker,
} from './broker-fixture.ts';
import { createTokenTable, testIssuer } from './forged-tokens.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { hostileNames } from './hostile-names.ts';
import { fieldsOf, withField } from './input-fields.ts';
import { firecrestRequest, goodInputs, type HttpRequest, type Input, taskRequest } from './operation-requests.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const operations = operationNames.map((name) => [name, findOperation(name) as Operation] as const);
const onSystems = operations.filter(([, operation]) => operation.scope === 'system');
const withBody = operations.filter(([, operation]) => hasBody(operation));

/** Left behind wherever a shell acts on one of our texts. */
const canary = `gc-canary-${randomBytes(4).toString('hex')}`;
const touch = `touch ${canary}`;

const tokens = await createTokenTable();
let broker: Broker;
let client: Client;
let own: OwnDirectory;

beforeAll(async () => {
  const jwksFile = join(lab.folder, `${canary}.jwks.json`);
  writeFileSync(jwksFile, JSON.stringify(tokens.jwks));
  broker = await startBroker(lab, {
    goldcrest: {
      issuers: [
        { issuer: lab.oidc.issuer, audiences: [lab.oidc.audience], jwks_urls: [lab.oidc.jwksUri] },
        { issuer: testIssuer.issuer, audiences: [testIssuer.audience], jwks_urls: [pathToFileURL(jwksFile).href] },
      ],
    },
  });
  client = createClient(broker.url, tokens.good);
  own = homeDirectory(alice);
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

function sendTo(at: Client, { method, path, body }: HttpRequest, headers: Record<string, string> = {}) {
  return at.send(method, path, { headers, ...(body === undefined ? {} : { body }) });
}

/** One readable sentence, advice, both envelopes, and nothing of what was sent that is secret. */
function expectRefusal(answer: Answer, status: number, message: RegExp): void {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.body.message).toMatch(message);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body).toMatchObject({
    status,
    detail: answer.body.message,
    advice: expect.stringMatching(/^[A-Z].{15,}\.$/),
    retryable: false,
    fault: 'caller',
    causedBy: null,
    errorType: answer.body.code === 'InvalidRequest' ? 'validation' : 'error',
  });
}

describe.each(operations)('who may call %s', (name, operation) => {
  const requests = [
    firecrestRequest(operation, 'lab', goodInputs[name]),
    taskRequest(operation, 'lab', goodInputs[name]),
  ];

  it.each(Object.entries(tokens.refused))('nobody with %s', async (_title, { authorization, status, message }) => {
    for (const request of requests) {
      const headers = authorization === null ? {} : { authorization };
      const { method, path, body } = request;
      const answer = await client.send(method, path, { token: null, headers, ...(body === undefined ? {} : { body }) });
      expectRefusal(answer, status, message);
      expect(answer.body.user ?? null).toBeNull();
      if (status === 401) expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
      const secret = authorization?.split(' ')[1] ?? '';
      if (secret.length > 10) expect(answer.text + JSON.stringify([...answer.headers])).not.toContain(secret);
    }
  });
});

/** What the document has that answers without a token. */
const openRoutes = ['GET /status/liveness/'];

/** Every other route of the document of the running broker, those of the registry too. `routes.test.ts` holds it to be complete. */
async function closedRoutes(): Promise<{ method: string; path: string }[]> {
  const { paths } = (await client.get('/openapi.json', { token: null })).body as unknown as {
    paths: Record<string, Record<string, unknown>>;
  };
  const id = '01900000-0000-7000-8000-000000000000';
  const ids: Record<string, string> = { system_name: 'lab', job_id: '1', id };
  return Object.entries(paths).flatMap(([template, methods]) => {
    const path = template.replaceAll(/\{(\w+)\}/g, (_match, name: string) => ids[name] ?? id);
    return Object.keys(methods)
      .map((method) => ({ method: method.toUpperCase(), path }))
      .filter((route) => !openRoutes.includes(`${route.method} ${route.path}`));
  });
}

it.each(Object.entries(tokens.refused))(
  'every route, with whatever ids, is closed to %s',
  async (_title, { authorization, status, message }) => {
    const headers = authorization === null ? {} : { authorization };
    const routes = await closedRoutes();
    expect(routes.length).toBeGreaterThan(60);
    for (const { method, path } of routes) {
      const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
      expectRefusal(await client.send(method, path, { token: null, headers, ...body }), status, message);
    }
  },
);

it('a task is nobody else’s: neither seen nor canceled, and not told from one that never was', async () => {
  const mine = await client.post('/tasks', { operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } });
  expect(mine.status).toBe(202);
  const bob = await clientOf(lab.oidc, broker.url, 'bob');
  const never = mine.body.id.replace(/.{12}$/, '0'.repeat(12));
  for (const id of [mine.body.id, never, 'x', `${canary}%00`]) {
    expectRefusal(await bob.get(`/tasks/${id}`), 404, /^Task not found\.$/);
    expectRefusal(await bob.get(`/tasks/${id}/result`), 404, /^Task not found\.$/);
    expectRefusal(await bob.delete(`/tasks/${id}`), 404, /^Task not found\.$/);
  }
});

describe.each(onSystems)('where %s may run', (name, operation) => {
  it.each(['nosuch', 'lab%00', '..%2Flab', `$(${canary})`, '-', 'x'.repeat(5_000)])('not on %.40s', async (system) => {
    expectRefusal(await sendTo(client, firecrestRequest(operation, system, goodInputs[name])), 404, /./);
    const native = await sendTo(client, taskRequest(operation, system, goodInputs[name]));
    expectRefusal(native, system.length > 255 ? 400 : 404, /System not found|system/);
  });
});

describe.each(operations)('input of %s', (name, operation) => {
  const good: Input = goodInputs[name];
  const fields = fieldsOf(operation.input);
  const isQuery = !withBody.some(([other]) => other === name);
  const inPath = Object.values(operation.firecrest.params ?? {});

  it('a value of a wrong type is refused by the name of its field', async () => {
    for (const { path, types } of fields) {
      const wrong = [true, 5, [[]], { $ne: 1 }].filter((value) => isWrongFor(types, value));
      for (const value of wrong) {
        const input = withField(good, path, value);
        const native = await sendTo(client, taskRequest(operation, 'lab', input));
        expectRefusal(native, 400, new RegExp(`input.${path.join('.')}`));
        if (isQuery || inPath.includes(path[0] ?? '')) continue; // what stands in a URL is text
        expectRefusal(await sendTo(client, firecrestRequest(operation, 'lab', input)), 400, new RegExp(path.join('.')));
      }
      if (!isQuery || !types.includes('boolean')) continue;
      const query = firecrestRequest(operation, 'lab', withField(good, path, 'perhaps'));
      expectRefusal(await sendTo(client, query), 400, new RegExp(`\`${path.join('.')}\` must be a boolean`));
    }
  });

  it.each([
    ['NUL', 'a\0b', /NUL|must be (a job id|one of|an RFC 3339 time)/],
    ['a lone surrogate', 'a\ud800b', /valid Unicode|must be (a job id|one of|an RFC 3339 time)/],
  ])('a text with %s is refused', async (_title, text, message) => {
    for (const { path } of fields.filter(({ types }) => types.includes('string'))) {
      const value = path.at(-1)?.match(/path|directory/i) ? `/tmp/${text}` : text;
      const native = await sendTo(client, taskRequest(operation, 'lab', withField(good, path, value)));
      expectRefusal(native, 400, message);
    }
  });

  it.each(pathFieldsOf(operation).map(({ field }) => [field]))('%s must be a path of the system', async (field) => {
    const refused: [string, RegExp][] = [
      ['tmp', /^The provided path \(tmp\) is not an absolute path\.$/],
      ['./tmp', /is not an absolute path/],
      ['~', /is not an absolute path/],
      [`$(${touch})`, /is not an absolute path/],
      ['/tmp/../etc/passwd', /^The provided path \(\/etc\/passwd\) does not match any .* system \(lab\)\.$/],
      [`${alice.home}/../../etc`, /\(\/etc\) does not match any/],
      ['/tmp/..', /\(\/\) does not match any/],
      ['/tmpx', /does not match any/],
      ['//etc', /does not match any/],
      [`/tmp/${'a'.repeat(5_000)}`, /must be at most 4095 bytes long/],
      [`/tmp/${'é'.repeat(2_100)}`, /must be at most 4095 bytes long/],
      ['/tmp/\0', /NUL/],
    ];
    for (const [path, message] of refused) {
      for (const face of [firecrestRequest, taskRequest]) {
        expectRefusal(await sendTo(client, face(operation, 'lab', { ...good, [field]: path })), 400, message);
      }
    }
    if (!isQuery) return;
    const { method, path } = firecrestRequest(operation, 'lab', { ...good, [field]: 'X' });
    for (const raw of ['%zz', '/tmp/%ff', '/tmp/%c0%af', '/tmp/100%', '/tmp/%ed%a0%80']) {
      expectRefusal(await client.send(method, path.replace('=X', `=${raw}`)), 400, /percent-encoded UTF-8/);
    }
  });
});

function isWrongFor(types: readonly string[], value: unknown): boolean {
  if (Array.isArray(value)) return true;
  const isLaxBoolean = types.includes('boolean') && typeof value === 'boolean';
  return !isLaxBoolean && !types.includes(typeof value) && !(types.includes('integer') && typeof value === 'number');
}

it.each([`1;${touch}`, `$(${touch})`, '-1', '1 2', '1\n2', "1'", '1'.repeat(5_000), '*', '/etc'])(
  'the job id %.30j is no job id',
  async (jobId) => {
    for (const name of ['compute.get-job', 'compute.cancel-job'] as const) {
      const request = firecrestRequest(findOperation(name) as Operation, 'lab', { jobId });
      expectRefusal(await sendTo(client, request), 400, /must be a job id such as 123/);
    }
  },
);

describe('a job', () => {
  const job = { workingDirectory: '/tmp', script: '#!/bin/sh\nexit 0\n' };
  it.each<[string, Input, number, RegExp]>([
    ['neither script nor path', { workingDirectory: '/tmp' }, 400, /a script or a scriptPath is required/],
    ['both script and path', { ...job, scriptPath: '/tmp/s' }, 400, /either script or scriptPath/],
    ['a script that is none', { ...job, script: 'hello' }, 400, /first line must start with #!/],
    ['an empty script', { ...job, script: ' \n' }, 400, /script is empty/],
    ['DOS line breaks', { ...job, script: '#!/bin/sh\r\nexit 0\r\n' }, 400, /DOS line breaks/],
    [
      'a directive Slurm does not know',
      { ...job, script: '#!/bin/sh\n#SBATCH --nonsense\n' },
      400,
      /unrecognized option/,
    ],
    [
      'a relative working directory',
      { ...job, workingDirectory: 'tmp' },
      400,
      /job\.workingDirectory` must be an absolute/,
    ],
    [
      'a relative script path',
      { workingDirectory: '/tmp', scriptPath: 's' },
      400,
      /job\.scriptPath` must be an absolute/,
    ],
    ['a variable name with =', { ...job, env: { 'A=B': 'x' } }, 400, /name of an environment variable/],
    ['a variable name with a command', { ...job, env: { [`$(${touch})`]: 'x' } }, 400, /environment variable/],
    ['a variable that is no text', { ...job, env: { A: 1 } }, 400, /job\.env\.A` must be a text/],
    ['an unknown partition', { ...job, partition: 'nope' }, 400, /Invalid partition name specified/],
    ['an unknown account', { ...job, account: 'nope' }, 400, /Invalid account/],
    ['an unknown reservation', { ...job, reservation: 'nope' }, 400, /reservation is invalid/],
    ['an unknown feature', { ...job, constraints: 'nope' }, 400, /Invalid feature/],
    ['a name of two lines', { ...job, name: 'a\nb' }, 400, /job\.name` must be one line/],
  ])('with %s is refused with what to do', async (_title, wrong, status, message) => {
    const answer = await client.post('/compute/lab/jobs', { job: wrong });
    expectRefusal(answer, status, message);
  });
});

describe.each([
  ...withBody.map(([, { firecrest }]) => [firecrest.method, firecrest.path.replace('{system_name}', 'lab')] as const),
  ['POST', '/tasks'] as const,
])('the body of %s %s', (method, path) => {
  const deep = `{"job":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const wrongType = path === '/tasks' ? 415 : 400;
  it.each<[string, string | Uint8Array<ArrayBuffer>, Record<string, string>, number, RegExp]>([
    ['nothing', '', {}, 400, /body is required/],
    ['no JSON', '{bad', {}, 400, /body is not valid JSON/],
    ['a list', '[]', {}, 400, /must be a JSON object/],
    ['null', 'null', {}, 400, /must be a JSON object/],
    ['100,000 levels', deep, {}, 400, /deeper than 32 levels|not valid JSON/],
    ['9 MiB', JSON.stringify({ job: 'x'.repeat(9 * 2 ** 20) }), {}, 413, /larger than the 8388608 bytes/],
    ['no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), {}, 400, /not valid UTF-8/],
    ['a form', 'job=1', { 'content-type': 'application/x-www-form-urlencoded' }, wrongType, /application\/json/],
    ['compressed JSON', '{}', { 'content-encoding': 'gzip' }, 415, /compressed/],
    ['a prototype', '{"__proto__":{"job":{},"operation":"filesystem.ls"}}', {}, 400, /is required|must be|not known/],
  ])('%s is refused', async (_title, body, headers, status, message) => {
    const response = await fetch(`${broker.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${tokens.good}`, 'content-type': 'application/json', ...headers },
      body,
    });
    const text = await response.text();
    const answer = { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
    expectRefusal(answer, status, message);
  });
});

it.each(['filesystem.nothing', '__proto__', 'constructor', `$(${touch})`])('%s is no operation', async (operation) => {
  const answer = await client.post('/tasks', { operation, system: 'lab', input: {} });
  expectRefusal(answer, 400, /is not an operation; known are .*filesystem\.stat/);
});

describe('names that are legal work, and nothing acts on them', () => {
  const names = Object.entries(hostileNames(touch));

  it('every name is listed as it is', async () => {
    const folder = join(own.path, 'all');
    mkdirSync(folder);
    for (const [, name] of names) writeFileSync(join(folder, name), name);
    const { status, body } = await client.get(`/filesystem/lab/ops/ls?${pathQuery(folder)}&showHidden=true`);
    expect(status).toBe(200);
    const listed = (body.output as { name: string }[]).map(({ name }) => name);
    expect(listed.sort()).toEqual(readdirSync(folder).sort());
  });

  it.each(names)('%s: ls and stat of the file', async (_title, name) => {
    const path = join(own.path, 'all', name);
    const listed = await client.get(`/filesystem/lab/ops/ls?${pathQuery(path)}`);
    expect(listed.body.output, listed.text).toMatchObject([{ name: path, size: String(Buffer.byteLength(name)) }]);
    const stat = await client.get(`/filesystem/lab/ops/stat?${pathQuery(path)}`);
    expect(stat.body.output, stat.text).toMatchObject({ size: Buffer.byteLength(name) });
    const missing = await client.get(`/filesystem/lab/ops/stat?${pathQuery(`${own.path}/none/${name}`)}`);
    expect(missing.status).toBe(404);
  });

  it('a command over several directories is a path like any other', async () => {
    const path = join(own.path, '$(touch ', 'tmp', `${canary})`);
    mkdirSync(path, { recursive: true });
    expect((await client.get(`/filesystem/lab/ops/ls?${pathQuery(path)}`)).body.output).toEqual([]);
  });

  it.each(['alice', 'dash', 'zsh', 'tcsh', 'fish'])(
    'jobs of %s start in directories of every name, with that name in their environment',
    async (person) => {
      const user = userNamed(lab.users, person);
      const at = await clientOf(lab.oidc, broker.url, person);
      const folder = homeDirectory(user);
      try {
        await Promise.all(
          names.map(async ([title, name]) => {
            const workingDirectory = join(folder.path, name);
            mkdirSync(workingDirectory);
            chownSync(workingDirectory, user.uid, user.gid);
            const end = join(folder.path, `${title}.end`);
            const script = `#!/bin/sh\n{ pwd; printf %s "$TEXT"; } >"$END.part" && mv "$END.part" "$END"\n`;
            const job = { workingDirectory, name, script, standardOutput: '/dev/null', env: { TEXT: name, END: end } };
            const oneLine = /[\n\r]/.test(name) ? { ...job, name: 'x' } : job;
            const { status, text } = await at.post('/compute/lab/jobs', { job: oneLine });
            expect(status, `${title}: ${text}`).toBe(201);
            await vi.waitFor(() => expect(existsSync(end), title).toBe(true), { timeout: 60_000, interval: 100 });
            expect(readFileSync(end, 'utf8'), title).toBe(`${workingDirectory}\n${name}`);
          }),
        );
        expect(canariesBelow(folder.path)).toEqual([]);
      } finally {
        folder.remove();
      }
    },
  );

  it.each([
    'account',
    'partition',
    'reservation',
    'constraints',
    'standardInput',
    'standardOutput',
    'standardError',
    'scriptPath',
  ])('a command as %s of a job is never run', async (field) => {
    const script = field === 'scriptPath' ? {} : { script: '#!/bin/sh\nexit 0\n' };
    const value = field === 'scriptPath' ? `/tmp/$(${touch})` : `$(${touch})`;
    const { status, body, text } = await client.post('/compute/lab/jobs', {
      job: { workingDirectory: own.path, ...script, [field]: value },
    });
    expect([201, 400], text).toContain(status);
    if (status === 201) expect((await client.delete(`/compute/lab/jobs/${body.jobId}`)).status).toBe(204);
  });

  it('nothing was left behind by a command', () => {
    const homes = lab.users.map(({ home }) => home);
    const places = ['/', '/tmp', '/root', process.cwd(), lab.folder, ...homes];
    expect(places.map((place) => join(place, canary)).filter((file) => existsSync(file))).toEqual([]);
    expect(canariesBelow(own.path)).toEqual([]);
  });
});

function canariesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => basename(name) === canary);
}
