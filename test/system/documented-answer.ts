/** Holds an answer of the broker to its own OpenAPI document: a status and a body that are not described there are faults. */
import { z } from 'zod';

/** What is looked at of an answer. */
export interface SeenAnswer {
  method: string;
  /** Path with its query, as it was requested. */
  path: string;
  status: number;
  contentType: string | null;
  /** The parsed JSON; undefined where there is none. */
  body: unknown;
}

type Json = Record<string, unknown>;
type Schemas = Readonly<Record<string, Json>>;

interface Response {
  content?: Record<string, { schema: Json }>;
}

interface Document {
  paths: Record<string, Record<string, { responses: Record<string, Response> }>>;
  components: { schemas: Schemas };
}

export type AnswerCheck = (answer: SeenAnswer) => string[];

/** Answers given before a route is looked for, or in the place of one: they are the same for every path. */
const statusesOfNoRoute = [307, 401, 404, 405, 413, 429, 500, 503];

/** For the machinery around the broker, not for its clients. */
const outsideOfDocument = ['/openapi.json', '/docs', '/livez', '/readyz'];

/** What is wrong with an answer, in words; empty when all is well. */
export function createAnswerCheck(document: Document): AnswerCheck {
  // A concrete segment goes before a parameter, as OpenAPI has it.
  const paths = Object.entries(document.paths).sort(([a], [b]) => a.split('{').length - b.split('{').length);
  const routes = paths.map(([template, items]) => ({ pattern: patternOf(template), items }));
  const compiled = new Map<Json, z.ZodType>();
  const { schemas } = document.components;
  const problem = schemas.Problem;
  if (problem === undefined) throw new Error('the document has no schema Problem');

  function mismatches(schema: Json, body: unknown): string[] {
    const check = compiled.get(schema) ?? z.fromJSONSchema(inlined(schema, schemas) as z.core.JSONSchema.JSONSchema);
    compiled.set(schema, check);
    const { error } = check.safeParse(body);
    return error?.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`) ?? [];
  }

  function responseOf(answer: SeenAnswer): Response | undefined {
    const path = answer.path.split('?')[0] ?? '';
    const route = routes.find(({ pattern }) => pattern.test(path));
    const item = route?.items[answer.method.toLowerCase()];
    const found = item?.responses[answer.status];
    if (found !== undefined || (item !== undefined && answer.status !== 307)) return found;
    return statusesOfNoRoute.includes(answer.status) ? generalResponse(answer, problem as Json) : undefined;
  }

  return (answer) => {
    const { contentType, body } = answer;
    if (outsideOfDocument.includes(answer.path)) return [];
    const response = responseOf(answer);
    if (response === undefined) return ['the status is not in the document'];
    const type = contentType?.split(';')[0] ?? null;
    const { content = {} } = response;
    if (Object.keys(content).length === 0) return body === undefined ? [] : ['the document has no body here'];
    const schema = type === null ? undefined : content[type]?.schema;
    if (schema === undefined) return [`the document has ${Object.keys(content)} here, not ${type}`];
    return body === undefined ? [] : mismatches(schema, body);
  };
}

/** HEAD has no body and a redirect need not have one; all else of no route is a problem. */
function generalResponse({ method, status }: SeenAnswer, problem: Json): Response {
  return method === 'HEAD' || status === 307 ? {} : { content: { 'application/problem+json': { schema: problem } } };
}

/** Paths are matched in any case, as the broker does. */
function patternOf(template: string): RegExp {
  const parts = template.split(/\{\w+\}/).map((part) => part.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^/]+')}$`, 'i');
}

/** The schema with its references to the document's own parts put in place. */
function inlined(value: unknown, schemas: Schemas): unknown {
  if (Array.isArray(value)) return value.map((item) => inlined(item, schemas));
  if (typeof value !== 'object' || value === null) return value;
  const { $ref } = value as { $ref?: unknown };
  if (typeof $ref === 'string') return inlined(schemas[$ref.split('/').at(-1) ?? ''], schemas);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, inlined(member, schemas)]));
}

const checks = new Map<string, Promise<AnswerCheck | null>>();

/** The check of the broker at `url`, its document read once; null where there is no broker any more to read it from. */
export function answerCheckOf(url: string): Promise<AnswerCheck | null> {
  const known = checks.get(url);
  if (known !== undefined) return known;
  const check = fetch(`${url}/openapi.json`).then(
    async (response) => createAnswerCheck((await response.json()) as Document),
    () => {
      checks.delete(url);
      return null;
    },
  );
  checks.set(url, check);
  return check;
}
