/** What every route has in common: ids, headers, unknown paths and methods, authentication, logs, health, OpenAPI. */
import { describe, expect, it } from 'vitest';
import { operationNames, operations } from '../../shared/operations/registry.ts';
import { eventually } from '../eventually.ts';
import { asAlice, createLocalGate, createLogSink, createTestApp, nowMs } from './api-fixture.ts';

const { gate } = createLocalGate(() => ({ state: 'completed', result: { systems: [] } }));
const app = createTestApp(gate);

describe('request ids', () => {
  const hyphened = '0d9b7a52-6c0f-4f0a-9a53-0f6c4b7d8e11';
  it.each([hyphened, hyphened.replaceAll('-', '').toUpperCase()])(
    'the UUID %s is repeated as it was sent',
    async (id) => {
      const response = await app.request('/livez', { headers: { 'x-request-id': id, 'x-correlation-id': id } });
      expect([response.headers.get('x-request-id'), response.headers.get('x-correlation-id')]).toEqual([id, id]);
    },
  );

  it('a correlation id that a user made up is repeated, free text is not', async () => {
    const correlation = async (id: string) =>
      (await app.request('/livez', { headers: { 'x-correlation-id': id } })).headers.get('x-correlation-id');
    expect(await correlation('my-workflow-1234')).toBe('my-workflow-1234');
    for (const text of ['a b', '{"x":1}', 'x'.repeat(129)]) expect(await correlation(text)).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each(['', 'abc', `${hyphened}0`, '{"x":1}'])('the id %j is replaced by a fresh one, not refused', async (id) => {
    const response = await app.request('/livez', { headers: { 'x-request-id': id } });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
    expect(response.headers.get('x-correlation-id')).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('unknown paths and methods', () => {
  it.each(['/', '/nosuch', '/compute/alps', '/tasks/a/b', '/favicon.ico'])('GET %s is 404 in JSON', async (path) => {
    const response = await app.request(path);
    expect(response.status).toBe(404);
    expect(response.headers.get('f7t-appversion')).toBe('2.5.7');
    expect(await response.json()).toMatchObject({ errorType: 'error', message: 'Not Found', user: null, data: null });
  });

  it.each([
    ['HEAD', '/status/systems', 'GET'],
    ['OPTIONS', '/status/systems', 'GET'],
    ['PROPFIND', '/compute/alps/jobs/1', 'DELETE, GET, PATCH'],
    ['PUT', '/tasks', 'GET, POST'],
    ['PUT', '/compute/alps/jobs/estimate', 'POST'],
    ['GET', '/compute/alps/jobs/estimate', 'POST'],
    ['GET', '/tasks/batch', 'POST'],
  ])('%s %s is 405 with Allow', async (method, path, allow) => {
    const response = await app.request(path, { method, headers: asAlice });
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow]);
    if (method !== 'HEAD') expect(await response.json()).toMatchObject({ message: 'Method Not Allowed' });
  });

  it('the trailing slash is redirected both ways, with method and query kept', async () => {
    const add = await app.request('/status/liveness?a=1');
    expect([add.status, add.headers.get('location')]).toEqual([307, '/status/liveness/?a=1']);
    const behind = createTestApp(gate, {}, { rootPath: '/fc' });
    const remove = await behind.request('/fc/compute/alps/jobs/', { method: 'POST', headers: asAlice });
    expect([remove.status, remove.headers.get('location')]).toEqual([307, '/fc/compute/alps/jobs']);
    const known = createTestApp(gate, {}, { publicUrl: 'https://hpc.example/api', rootPath: '/fc' });
    const absolute = await known.request('http://evil.example/tasks/', { headers: asAlice });
    expect(absolute.headers.get('location')).toBe('https://hpc.example/api/tasks');
  });
});

describe('authentication', () => {
  const routes = operationNames.map((name) => operations[name].firecrest);
  const paths = routes.map(({ method, path }) => [
    method,
    path.replace('{system_name}', 'alps').replace('{job_id}', '1'),
  ]);
  it.each([
    ...paths,
    ['POST', '/tasks'],
    ['GET', '/tasks/x'],
    ['DELETE', '/tasks/x'],
    ['GET', '/events'],
    ['GET', '/tasks/x/events'],
    ['POST', '/events/tickets'],
    ['POST', '/webhooks'],
    ['GET', '/webhooks'],
    ['GET', '/webhooks/x'],
    ['PATCH', '/webhooks/x'],
    ['DELETE', '/webhooks/x'],
    ['POST', '/webhooks/x/test'],
    ['POST', '/webhooks/x/rotate'],
    ['GET', '/webhooks/x/deliveries'],
    ['POST', '/webhooks/x/redeliver'],
    ['POST', '/webhooks/x/deliveries/y/redeliver'],
  ])('%s %s without a token is 401 with a challenge', async (method = '', path = '') => {
    const response = await app.request(path, { method });
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(await response.json()).toMatchObject({ errorType: 'error', message: 'Not authenticated', user: null });
  });

  it('another scheme and an invalid token are 401, and the token is never repeated', async () => {
    const basic = await app.request('/status/systems', { headers: { authorization: 'Basic YTpi' } });
    expect(basic.status).toBe(401);
    const wrong = await app.request('/status/systems', { headers: { authorization: 'bearer eyJ.mallory.x' } });
    expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"');
    const seen = `${JSON.stringify([...wrong.headers])}${await wrong.text()}`;
    expect(seen).toContain('Access token is invalid.');
    expect(seen).not.toContain('mallory');
  });
});

it('an answer may not be cached, framed or guessed at, and browsers stay on https where the service is', async () => {
  const secure = createTestApp(gate, {}, { publicUrl: 'https://hpc.example' });
  const response = await secure.request('/livez');
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'strict-transport-security': expect.stringContaining('max-age'),
  });
});

it('the access log has one line a request, with the route and the user, without query and token', async () => {
  const { lines, log } = createLogSink();
  const logged = createTestApp(gate, { log });
  await logged.request('/compute/ALPS/jobs/77?path=/home/private', { headers: asAlice });
  // It is written when the answer is on its way.
  await eventually(() => expect(lines.join('')).toContain('"ms":'));
  const requests = lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((entry) => entry.ms !== undefined);
  expect(requests).toHaveLength(1);
  expect(requests[0]).toMatchObject({
    method: 'GET',
    route: '/compute/{system_name}/jobs/{job_id}',
    status: 200,
    user: 'alice',
    taskId: expect.stringMatching(/^0190/),
    requestId: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(lines.join('')).not.toMatch(/private|Bearer/);
});

describe('health', () => {
  it('liveness is open and has the shape of FirecREST v2', async () => {
    const response = await app.request('/status/liveness/');
    expect([response.status, await response.json()]).toEqual([200, { healthcheckRuns: {}, lastUpdate: 0 }]);
    expect(response.headers.get('f7t-timestamp')).toBe(String(nowMs / 1000));
  });

  it('readyz is 503 with Retry-After while the store does not answer, livez stays 200', async () => {
    const down = createTestApp(gate, { readiness: () => Promise.reject(new Error('ECONNREFUSED')) });
    const ready = await down.request('/readyz');
    expect([ready.status, ready.headers.get('retry-after')]).toEqual([503, '2']);
    expect((await down.request('/livez')).status).toBe(200);
    expect((await app.request('/readyz')).status).toBe(200);
  });
});

describe('openapi.json', () => {
  interface Document {
    paths: Record<
      string,
      Record<string, Record<string, unknown> & { parameters?: { name: string; required: boolean }[] }>
    >;
  }
  const load = async () => (await (await app.request('/openapi.json')).json()) as Document;

  it('is public and holds every operation under its method, with an id of its own', async () => {
    const { paths } = await load();
    const ids = operationNames.map((name) => {
      const { method, path } = operations[name].firecrest;
      return paths[path]?.[method.toLowerCase()]?.operationId;
    });
    expect(new Set(ids).size).toBe(operationNames.length);
    expect(ids).toContain('get_stat_filesystem__system_name__ops_stat_get');
    expect(ids).toContain('delete_job_cancel_compute__system_name__jobs__job_id__delete');
  });

  it('knows which parameters are required and what an answer looks like', async () => {
    const { paths } = await load();
    const ls = paths['/filesystem/{system_name}/ops/ls']?.get;
    const required = ls?.parameters?.filter((item) => item.required).map((item) => item.name);
    expect(required).toEqual(['system_name', 'path']);
    expect(ls?.responses).toMatchObject({
      200: { content: { 'application/json': { schema: { properties: { output: { type: 'array' } } } } } },
    });
    const submit = paths['/compute/{system_name}/jobs']?.post;
    expect(submit?.requestBody).toMatchObject({
      content: { 'application/json': { schema: { properties: { job: { required: ['workingDirectory'] } } } } },
    });
    const attach = paths['/compute/{system_name}/jobs/{job_id}/attach']?.put as { requestBody: object } | undefined;
    const body = { properties: { command: expect.anything() }, required: ['command'] };
    expect(attach?.requestBody).toEqual({
      required: true,
      content: { 'application/json': { schema: { type: 'object', ...body } } },
    });
  });
});
