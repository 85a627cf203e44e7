/** Every route that the application has: in the OpenAPI document, so that tests over it miss none, and closed without a token. */
import { describe, expect, it } from 'vitest';
import { createLocalGate, createTestApp } from './api-fixture.ts';

const app = createTestApp(createLocalGate().gate, {}, { publicUrl: 'https://hpc.example' });

/** Who asks nothing of anybody: whether the service is there, what it is like, and whose tokens it takes. */
const open = [
  'GET /.well-known/oauth-protected-resource',
  'GET /asyncapi.json',
  'GET /docs',
  'GET /livez',
  'GET /openapi.json',
  'GET /readyz',
  'GET /status/liveness/',
];
/** Descriptions of the service, which do not describe themselves, and what load balancers ask. */
const undescribed = [
  ...['/.well-known/oauth-protected-resource', '/asyncapi.json', '/docs', '/openapi.json'],
  ...['/livez', '/readyz'],
];

/** `METHOD /template` → the status without a token. Routes that stand there only to be refused answer 404 or 405. */
async function statusesWithoutToken(): Promise<Map<string, number>> {
  const own = app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`);
  const statuses = new Map<string, number>();
  for (const route of new Set(own)) {
    const [method = '', path = ''] = route.split(' ');
    const address = path.replaceAll(/:\w+/g, 'x');
    statuses.set(route.replaceAll(/:(\w+)/g, '{$1}'), (await app.request(address, { method })).status);
  }
  return statuses;
}

describe('every route of the application', () => {
  it('asks for a token, but for those that are open to all', async () => {
    const statuses = [...(await statusesWithoutToken())].filter(([, status]) => ![404, 405].includes(status));
    expect(statuses.length).toBeGreaterThan(60);
    const answered = statuses.filter(([, status]) => status !== 401).map(([route]) => route);
    expect(answered.sort()).toEqual(open);
  });

  it('says in the document what a token may be refused with, but for those that are open', async () => {
    const { paths } = (await (await app.request('/openapi.json')).json()) as {
      paths: Record<string, Record<string, { responses: object }>>;
    };
    const silent = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { responses }]) => !['400', '401', '403'].every((status) => status in responses))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    );
    expect(silent).toEqual(['GET /status/liveness/']);
  });

  it('is in the OpenAPI document', async () => {
    const { paths } = (await (await app.request('/openapi.json')).json()) as { paths: Record<string, object> };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const statuses = [...(await statusesWithoutToken())].filter(([, status]) => ![404, 405].includes(status));
    const routes = statuses.map(([route]) => route).filter((route) => !undescribed.includes(route.split(' ')[1] ?? ''));
    expect(routes.sort()).toEqual(described.sort());
  });
});
