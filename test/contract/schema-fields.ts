/** Flattens JSON into one line a field, so that two descriptions of an answer, or an answer itself, can be compared. */

/** Path of a field → its JSON types. `[]` is an item of a list, `.*` a member of any name. */
export type Fields = Map<string, Set<string>>;

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema | boolean;
  prefixItems?: Schema[];
  additionalProperties?: Schema | boolean;
}

/** JSON Schema's name for the type of a value. */
export function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typesOf(schema: Schema): string[] {
  if (schema.type !== undefined) return Array.isArray(schema.type) ? schema.type : [schema.type];
  if (schema.enum !== undefined) return schema.enum.map(jsonType);
  return schema.const === undefined ? [] : [jsonType(schema.const)];
}

/** The fields of a JSON Schema, those of all its alternatives together. */
export function schemaFields(schema: Schema, path = '', fields: Fields = new Map()): Fields {
  const known = fields.get(path) ?? new Set();
  for (const type of typesOf(schema)) known.add(type);
  fields.set(path, known);
  for (const alternative of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) {
    schemaFields(alternative, path, fields);
  }
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    schemaFields(member, path === '' ? name : `${path}.${name}`, fields);
  }
  const { items, additionalProperties } = schema;
  if (typeof items === 'object') schemaFields(items, `${path}[]`, fields);
  for (const item of schema.prefixItems ?? []) schemaFields(item, `${path}[]`, fields);
  if (typeof additionalProperties === 'object') schemaFields(additionalProperties, `${path}.*`, fields);
  return fields;
}

/** Paths of the fields that a JSON Schema requires wherever their parent is. */
export function requiredFields(schema: Schema, path = ''): Set<string> {
  const required = new Set<string>();
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    if (schema.required?.includes(name)) required.add(at);
    for (const inner of requiredFields(member, at)) required.add(inner);
  }
  for (const alternative of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) {
    for (const inner of requiredFields(alternative, path)) required.add(inner);
  }
  const { items, additionalProperties } = schema;
  if (typeof items === 'object') for (const inner of requiredFields(items, `${path}[]`)) required.add(inner);
  if (typeof additionalProperties === 'object') {
    for (const inner of requiredFields(additionalProperties, `${path}.*`)) required.add(inner);
  }
  return required;
}

/** The fixture's lines: `"output[].size": "string"`, with `?` behind the name of a field that may be absent. */
export interface ExpectedField {
  path: string;
  types: string[];
  isOptional: boolean;
}

export function expectedFields(lines: Readonly<Record<string, string>>): ExpectedField[] {
  return Object.entries(lines).map(([name, types]) => ({
    path: name.replace(/\?$/, ''),
    types: types.split(' | '),
    isOptional: name.endsWith('?'),
  }));
}

/** What is wrong with an answer: fields that are missing, and values of another type. Empty when all is well. */
export function wrongFields(answer: unknown, expected: readonly ExpectedField[]): string[] {
  const wrong: string[] = [];
  for (const { path, types, isOptional } of expected) {
    for (const value of valuesAt(answer, path)) {
      const type = value === undefined ? 'absent' : jsonType(value);
      const isRight = types.includes(type) || (type === 'integer' && types.includes('number'));
      if (!isRight && !(value === undefined && isOptional)) wrong.push(`${path}: ${type}, not ${types.join(' | ')}`);
    }
  }
  return wrong;
}

/** Every value a path names; undefined where a parent is there and the field is not. */
function valuesAt(root: unknown, path: string): unknown[] {
  const steps = path.split(/\.|(?=\[\])/);
  return steps.reduce<unknown[]>(
    (values, step) =>
      values.flatMap((value): unknown[] => {
        if (typeof value !== 'object' || value === null) return [];
        if (step === '[]') return Array.isArray(value) ? value : [];
        if (step === '*') return Object.values(value);
        return [(value as Record<string, unknown>)[step]];
      }),
    [root],
  );
}
