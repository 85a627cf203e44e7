/** The fields of an operation's input, to put something else into each. */
import { z } from 'zod';
import type { Input } from './operation-requests.ts';

interface Typed {
  type?: string | string[];
  anyOf?: Typed[];
}

function typesOf({ type = [], anyOf = [] }: Typed): string[] {
  return [...[type].flat(), ...anyOf.flatMap(typesOf)];
}

/** Every field of an operation's input with its JSON types, nested ones by their whole path. */
export function fieldsOf(schema: z.core.$ZodType, path: string[] = []): { path: string[]; types: string[] }[] {
  const json = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }) as {
    properties?: Record<string, Record<string, unknown>>;
  };
  const visit = (members: typeof json.properties, at: string[]): { path: string[]; types: string[] }[] =>
    Object.entries(members ?? {}).flatMap(([name, member]) => {
      const types = typesOf(member);
      return [{ path: [...at, name], types }, ...visit(member.properties as typeof json.properties, [...at, name])];
    });
  return visit(json.properties, path);
}

/** The input with another value at a path. */
export function withField(input: Input, [head = '', ...rest]: readonly string[], value: unknown): Input {
  const inner = rest.length === 0 ? value : withField((input[head] ?? {}) as Input, rest, value);
  return { ...input, [head]: inner };
}
