/** Whatever is sent to whichever route: an answer of the catalogue, and never that something broke inside. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { describeError, errorCodes } from '../../shared/errors/catalogue.ts';
import { type Broker, startBroker } from './broker-fixture.ts';

const lab = inject('lab');
let broker: Broker;
let authorization: string;

beforeAll(async () => {
  broker = await startBroker(lab, { scheduler: 'process', s3: lab.s3 });
  authorization = `Bearer ${await requestToken(lab.oidc, 'alice')}`;
});

afterAll(async () => {
  await broker?.stop();
});

interface OpenApi {
  paths: Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>;
}

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '/tmp', '../..', '\0', '\ud800', '$(id)', '1e999', '9'.repeat(400), '__proto__', '%00'),
);
const values = fc.oneof(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), texts, fc.double(), fc.constant(null));
const names = fc.constantFrom(
  ...[
    'path',
    'system',
    'operation',
    'input',
    'job',
    'script',
    'env',
    'url',
    'secret',
    'events',
    'tasks',
    'webhook',
    'tags',
  ],
  ...[
    'targetPath',
    'transferDirectives',
    'mode',
    'owner',
    'jobId',
    'workingDirectory',
    'deadline',
    'priority',
    '__proto__',
  ],
);
const objects = fc.dictionary(names, values, { maxKeys: 6 }).map((value) => JSON.stringify(value));
const bytes = fc.uint8Array({ maxLength: 64 }).map((value) => Buffer.from(value));
const bodies = fc.oneof(
  { weight: 4, arbitrary: objects },
  { weight: 1, arbitrary: bytes },
  values.map((value) => JSON.stringify(value) ?? ''),
);
const runs = 12;
/** So that a failure can be repeated. */
const seed = 31;

/** A text as it may stand in an address; lone surrogates, which have no UTF-8, as they come. */
function encoded(text: string): string {
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/g, '?'));
}

it('no route answers with anything but what the catalogue has, and none breaks', async () => {
  const { paths } = (await (await fetch(`${broker.url}/openapi.json`)).json()) as OpenApi;
  // A stream has no end of its own; what it is asked with is what the others are.
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    path.endsWith('/events')
      ? []
      : Object.entries(methods).map(([method, { parameters = [] }]) => ({ path, method, parameters })),
  );
  expect(routes.length).toBeGreaterThan(50);
  const codes = new Map(errorCodes.map((code) => [code as string, describeError(code).status]));
  for (const { path, method, parameters } of routes) {
    const inputs = fc.sample(fc.tuple(bodies, fc.array(texts, { minLength: 12, maxLength: 12 })), {
      numRuns: runs,
      seed,
    });
    const send = async ([body, words]: (typeof inputs)[number], at: number) => {
      const next = () => words[at++ % words.length] ?? '';
      const address = path.replaceAll(/\{(\w+)\}/g, (_match, name: string) =>
        name === 'system_name' && at % 4 > 0 ? 'lab' : encoded(next()) || 'x',
      );
      const query = parameters
        .filter((parameter) => parameter.in === 'query')
        .map(({ name }) => `${name}=${encoded(next())}`);
      const hasBody = !['get', 'delete'].includes(method);
      const response = await fetch(`${broker.url}${address}?${query.join('&')}`, {
        method: method.toUpperCase(),
        redirect: 'manual',
        headers: { authorization, 'content-type': 'application/json', prefer: 'wait=1' },
        ...(hasBody ? { body } : {}),
      });
      const text = await response.text();
      const said = `${method} ${address}?${query.join('&')} ${hasBody ? String(body) : ''}: ${response.status} ${text}`;
      if (response.status < 400) return;
      const { code = '' } = JSON.parse(text) as { code?: string };
      expect(codes.get(code), said).toBe(response.status);
      expect(code, said).not.toBe('Internal');
    };
    await Promise.all(inputs.map(send));
  }
  expect((await fetch(`${broker.url}/readyz`)).status).toBe(200);
});
