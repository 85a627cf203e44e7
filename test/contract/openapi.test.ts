/** Our OpenAPI document against FirecREST v2's routes: a client generated from either must work with us. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { operations } from '../../shared/operations/registry.ts';
import { type Broker, createClient, startBroker } from '../system/broker-fixture.ts';
import { upstreamRoutes } from './routes-fixture.ts';
import { expectedFields, requiredFields, schemaFields } from './schema-fields.ts';

type Schema = Parameters<typeof schemaFields>[0];
type Content = { content?: Record<string, { schema: Schema }> };

interface PathItem {
  operationId: string;
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: Content;
  responses: Record<string, Content>;
  security?: unknown[];
}

interface Document {
  openapi: string;
  paths: Record<string, Record<string, PathItem>>;
  components: { schemas: Record<string, Schema>; securitySchemes: Record<string, unknown> };
}

let broker: Broker;
let document: Document;

beforeAll(async () => {
  broker = await startBroker(inject('lab'), { workers: 0 });
  document = (await createClient(broker.url, '').get('/openapi.json', { token: null })).body as unknown as Document;
});

afterAll(() => broker?.stop());

function jsonSchema(part: Content | undefined): Schema {
  return part?.content?.['application/json']?.schema ?? {};
}

/** Whether our types are among those upstream's clients expect: an integer may stand where a number is expected. */
function fits(ours: ReadonlySet<string>, expected: readonly string[]): boolean {
  return [...ours].every((type) => expected.includes(type) || (type === 'integer' && expected.includes('number')));
}

it('the fixture has the route of every operation', () => {
  const known = upstreamRoutes.map(({ method, path }) => `${method} ${path}`);
  const copied = Object.values(operations).filter(({ firecrest }) => !('isAddition' in firecrest));
  const ours = copied.map(({ firecrest }) => `${firecrest.method} ${firecrest.path}`);
  expect(ours.sort()).toEqual(known.sort());
});

it('the document is OpenAPI 3.1, open to everyone, and names both ways to bring a token', () => {
  expect(document.openapi).toMatch(/^3\.1\./);
  expect(Object.keys(document.components.securitySchemes).sort()).toEqual(['APIAuthDependency', 'HTTPBearer']);
  expect(document.paths['/status/liveness/']?.get?.security).toEqual([]);
});

it('every operation has an id of its own', () => {
  const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map((item) => item.operationId));
  expect(new Set(ids).size).toBe(ids.length);
});

describe.each(upstreamRoutes.map((route) => [`${route.method} ${route.path}`, route] as const))(
  '%s',
  (_name, route) => {
    const item = (): PathItem => {
      const found = document.paths[route.path]?.[route.method.toLowerCase()];
      return found ?? expect.unreachable('the path is missing');
    };

    it('has the parameters with their types, and demands no more of them', () => {
      const { parameters } = item();
      expect(
        parameters
          .filter((parameter) => parameter.in === 'path')
          .map(({ name }) => name)
          .sort(),
      ).toEqual(route.pathParameters);
      const inQuery = parameters.filter((parameter) => parameter.in === 'query');
      const ours = inQuery.map(
        ({ name, required, schema }) => [name, { required, types: [...typesOf(schema)] }] as const,
      );
      expect(Object.fromEntries(ours)).toMatchObject(route.query);
      const beyond = ours.filter(([name]) => route.query[name] === undefined);
      expect(beyond.filter(([, { required }]) => required)).toEqual([]);
    });

    it('accepts every field of the body', () => {
      const [content] = Object.values(item().requestBody?.content ?? {});
      const schema = content?.schema ?? {};
      const fields = schemaFields(schema);
      const required = requiredFields(schema);
      for (const [name, field] of Object.entries(route.body)) {
        expect([...(fields.get(name) ?? [])], name).not.toEqual([]);
        expect(required.has(name) && !field.required, `${name} is required`).toBe(false);
      }
    });

    it('answers with the status and every field that upstream answers with', () => {
      const success = item().responses[route.success];
      expect(success).toBeDefined();
      const schema = jsonSchema(success);
      const fields = schemaFields(schema);
      const required = requiredFields(schema);
      for (const { path, types, isOptional } of expectedFields(route.answer)) {
        const ours = fields.get(path);
        expect(ours, `${path} is missing`).toBeDefined();
        expect(fits(ours ?? new Set(), types), `${path} is ${[...(ours ?? [])].join(' | ')}, not ${types}`).toBe(true);
        const isItem = path.endsWith('[]') || path.endsWith('.*');
        expect(isItem || isOptional || required.has(path), `${path} may be absent`).toBe(true);
      }
    });

    it('names every error status that upstream names, with the one error body', () => {
      const { responses } = item();
      const missing = route.errors.filter((status) => responses[status] === undefined);
      expect(missing).toEqual([]);
      for (const status of route.errors) {
        const schema = responses[status]?.content?.['application/problem+json']?.schema;
        expect(schema).toEqual({ $ref: '#/components/schemas/Problem' });
      }
      const problem = document.components.schemas.Problem;
      expect([...requiredFields(problem ?? {})]).toEqual(
        expect.arrayContaining(['errorType', 'message', 'causedBy', 'data', 'user']),
      );
    });
  },
);

function typesOf(schema: Schema): Set<string> {
  return schemaFields(schema).get('') ?? new Set();
}
