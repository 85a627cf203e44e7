/** Reads the query of a list: a parameter that is not known, or is empty, is an error and not a list of something else. */
import type { z } from 'zod';
import type { AppContext } from './app-env.ts';
import { invalidRequest, problemsOf } from './invalid-request.ts';
import { readQuery } from './query.ts';

/** Throws InvalidRequest. */
export function readStrictQuery<Shape extends z.ZodRawShape>(
  c: AppContext,
  schema: z.ZodObject<Shape>,
): z.output<z.ZodObject<Shape>> {
  const given = Object.fromEntries(readQuery(c));
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(schema.shape, name));
  if (unknown.length > 0) {
    const message = `is not known; known are ${Object.keys(schema.shape).join(', ')}`;
    throw invalidRequest(unknown.map((name) => ({ location: 'query', name, pointer: name, message })));
  }
  const isEmpty = Object.keys(schema.shape).filter((name) => !Object.hasOwn(given, name) && c.req.query(name) === '');
  if (isEmpty.length > 0) {
    const message = 'must not be empty; leave it out instead';
    throw invalidRequest(isEmpty.map((name) => ({ location: 'query', name, pointer: name, message })));
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidRequest(problemsOf(parsed.error.issues, given, (name) => ({ location: 'query', name })));
}
