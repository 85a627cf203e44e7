/**
 * The configuration file as a JSON Schema (2020-12), for editors and for the generated reference. It describes the
 * snake_case spelling; the loader takes camelCase too.
 */
import { z } from 'zod';
import { fileSchema } from './schema-file.ts';

/** The parts of a JSON Schema that ours uses. */
export interface JsonSchema {
  type?: string | string[];
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: boolean | JsonSchema;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  title?: string;
  $schema?: string;
  /** Marks of the fields, gone in the result: see `section` and `secret`. */
  open?: boolean;
  secret?: boolean;
}

/** The schema of the file as it is written. */
export function configurationJsonSchema(): JsonSchema {
  const generated: JsonSchema = z.toJSONSchema(fileSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => adjust(jsonSchema as JsonSchema, defaultOf(zodSchema)),
  }) as JsonSchema;
  const { $schema, ...rest } = generated;
  const { clusters, ...properties } = rest.properties ?? {};
  return {
    ...($schema === undefined ? {} : { $schema }),
    title: 'Goldcrest configuration',
    ...rest,
    properties: { ...properties, ...(clusters === undefined ? {} : { clusters: orFolder(clusters) }) },
  };
}

/** Zod leaves defaults out where a value is read loosely (`"22"` for 22); they hold all the same. */
function defaultOf({ _zod: { def } }: z.core.$ZodType): unknown {
  return def.type === 'default' && 'defaultValue' in def ? def.defaultValue : undefined;
}

/** Secrets are texts; keys that the loader only warns about do not make a file invalid. */
function adjust(schema: JsonSchema, standard: unknown): void {
  if (standard !== undefined) schema.default = standard;
  if (schema.secret) schema.type = 'string';
  if (schema.open) delete schema.additionalProperties;
  delete schema.secret;
  delete schema.open;
}

/** A list of clusters, or the name of a folder that holds one file for each. */
function orFolder(list: JsonSchema): JsonSchema {
  const { description, default: standard, ...items } = list;
  const folder: JsonSchema = { type: 'string', pattern: '^path:' };
  return { ...(description === undefined ? {} : { description }), default: standard, anyOf: [items, folder] };
}
