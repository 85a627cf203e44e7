/** The operations' Zod schemas as JSON Schema, for the OpenAPI document. */
import { z } from 'zod';
import type { Operation } from '../../shared/operations/operation.ts';
import { namedWebhook } from '../faces/named-webhook.ts';

type Json = Record<string, unknown>;

export function isOptional(schema: z.core.$ZodType | undefined): boolean {
  return schema !== undefined && z.safeParse(schema, undefined).success;
}

/** A schema as callers see it: a field with a default is optional, unknown fields are allowed. */
export function requestSchema(schema: z.core.$ZodType): Json {
  const described = z.toJSONSchema(schema, {
    io: 'output',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      if (!(zodSchema instanceof z.ZodObject)) return;
      const required = Object.keys(zodSchema.shape).filter((name) => !isOptional(zodSchema.shape[name]));
      delete jsonSchema.additionalProperties;
      delete jsonSchema.required;
      if (required.length > 0) jsonSchema.required = required;
    },
  });
  // An OpenAPI 3.1 document says itself which dialect its schemas are in.
  delete described.$schema;
  return described as Json;
}

/** The body of a request: the input without what stands in the path. */
export function bodySchema({ input, firecrest, takesWebhook }: Operation): Json {
  const { properties, required = [], ...rest } = requestSchema(input) as { properties: Json; required?: string[] };
  const inPath = Object.values(firecrest.params ?? {});
  const names = required.filter((name) => !inPath.includes(name));
  return {
    ...rest,
    properties: {
      ...Object.fromEntries(Object.entries(properties).filter(([name]) => !inPath.includes(name))),
      ...(takesWebhook === undefined ? {} : { webhook: requestSchema(namedWebhook) }),
    },
    ...(names.length === 0 ? {} : { required: names }),
  };
}

export function resultSchema(schema: z.core.$ZodType): Json {
  const described = z.toJSONSchema(schema, {
    io: 'output',
    unrepresentable: 'any',
    override({ jsonSchema }) {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  // An OpenAPI 3.1 document says itself which dialect its schemas are in.
  delete described.$schema;
  return described as Json;
}

/** How a change looks when it is done is null where `Prefer: return=minimal` asks for it. */
function orLeftOut({ mutates }: Operation, name: string, schema: Json): Json {
  return mutates && name === 'output' ? { anyOf: [schema, { type: 'null' }] } : schema;
}

/**
 * The schema of an answer's body, found by giving `answer` a result made of empty marker objects and looking where they
 * end up. A body that is made in another way is described as any JSON.
 */
export function answerSchema(operation: Operation): Json {
  const { job } = operation.firecrest;
  if (job !== undefined) return resultSchema(job.body);
  const marked: Record<string, unknown> = {};
  const schemas = new Map<unknown, z.core.$ZodType>([[marked, operation.result]]);
  if (operation.result instanceof z.ZodObject) {
    for (const [name, field] of Object.entries(operation.result.shape)) {
      marked[name] = {};
      schemas.set(marked[name], field);
    }
  }
  const describe = (value: unknown): Json => {
    const schema = schemas.get(value);
    if (schema !== undefined) return resultSchema(schema);
    if (typeof value !== 'object' || value === null) return {};
    const properties = Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, orLeftOut(operation, name, describe(member))]),
    );
    const required = Object.entries(value).filter(([, member]) => !isOptional(schemas.get(member)));
    return { type: 'object', properties, required: required.map(([name]) => name) };
  };
  try {
    return describe(operation.firecrest.answer(marked));
  } catch (error) {
    if (error instanceof TypeError) return {};
    throw error;
  }
}
