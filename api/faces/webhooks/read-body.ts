/** Reads the body of a request about webhooks, strictly: a field that is not known is an error. */
import type { z } from 'zod';
import type { AppContext } from '../../http/app-env.ts';
import { invalidField, invalidRequest, problemsOf } from '../../http/invalid-request.ts';
import { readJsonBody } from '../../http/json-body.ts';

const bytesMax = 64 * 1024;

/** InvalidRequest, BodyTooLarge, UnsupportedMediaType. */
export async function readBody<Shape extends z.ZodRawShape>(
  c: AppContext,
  schema: z.ZodObject<Shape>,
): Promise<z.output<z.ZodObject<Shape>>> {
  const body = await readJsonBody(c, { bytesMax, wrongTypeCode: 'UnsupportedMediaType' });
  const unknown = Object.keys(body).find((name) => !Object.hasOwn(schema.shape, name));
  if (unknown !== undefined) throw invalidField('body', `/${unknown}`, 'is not known');
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest(problemsOf(parsed.error.issues, body, (name) => ({ location: 'body', name })));
}
