/**
 * The spellings of FirecREST v2's request fields: every camelCase name is also accepted in snake_case, and a few fields
 * have names of their own. Derived from an operation's schema, so that no second list of fields exists.
 */
import { z } from 'zod';
import { isJsonObject } from '../../shared/json-object.ts';

/** Field → names it is also accepted under. `currentWorkingDirectory` is none: upstream refuses it. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  path: ['sourcePath', 'source_path'],
  workingDirectory: ['current_working_directory', 'directory'],
  env: ['environment'],
  standardInput: ['stdin_path'],
  standardOutput: ['stdout_path'],
  standardError: ['stderr_path'],
};

/** The fields of one object: accepted name → field and, where it is an object too, its own fields. */
export interface FieldNames {
  fields: ReadonlyMap<string, { spellings: readonly string[]; inner: FieldNames | null }>;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function shapesOf(schema: unknown): z.core.$ZodShape[] {
  // A strict object is handed over whole: it refuses by itself the names that it does not know.
  if (schema instanceof z.ZodObject) return schema.def.catchall instanceof z.ZodNever ? [] : [schema.shape];
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault) {
    return shapesOf(schema.unwrap());
  }
  if (schema instanceof z.ZodPipe) return shapesOf(schema.out);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(shapesOf);
  return [];
}

/** The names of a schema's fields, nested objects included. Done once for each operation. */
export function fieldNamesOf(schema: unknown): FieldNames {
  const fields = new Map<string, { spellings: readonly string[]; inner: FieldNames | null }>();
  for (const shape of shapesOf(schema)) {
    for (const [name, member] of Object.entries(shape)) {
      const spellings = [...new Set([name, snakeCase(name), ...(otherNames[name] ?? [])])];
      fields.set(name, { spellings, inner: shapesOf(member).length > 0 ? fieldNamesOf(member) : null });
    }
  }
  return { fields };
}

/** The object under its proper names; names nobody knows are left out. Where two spellings are sent the proper one counts. */
export function properNames(names: FieldNames, value: Record<string, unknown>): Record<string, unknown> {
  const proper: Record<string, unknown> = {};
  for (const [name, { spellings, inner }] of names.fields) {
    const spelling = spellings.find((candidate) => Object.hasOwn(value, candidate));
    if (spelling === undefined) continue;
    const member = value[spelling];
    proper[name] = inner !== null && isJsonObject(member) ? properNames(inner, member) : member;
  }
  return proper;
}

/** Paths of the keys that are no field under its proper name; at most one for each key sent. */
export function unknownNames(names: FieldNames, value: Record<string, unknown>, path: string[] = []): string[][] {
  return Object.entries(value).flatMap(([name, member]) => {
    const field = names.fields.get(name);
    if (field === undefined) return [[...path, name]];
    return field.inner !== null && isJsonObject(member) ? unknownNames(field.inner, member, [...path, name]) : [];
  });
}
