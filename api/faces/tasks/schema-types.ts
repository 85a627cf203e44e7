/** Which types of JSON may stand at a place of a JSON Schema, so that what one step gives can be held to what another wants. */

type Schema = Record<string, unknown>;

function membersOf(schema: Schema): Schema[] {
  const { anyOf, oneOf } = schema as { anyOf?: Schema[]; oneOf?: Schema[] };
  return anyOf ?? oneOf ?? [schema];
}

function stepInto(schema: Schema, key: string): Schema[] {
  return membersOf(schema).flatMap((member) => {
    if (member !== schema) return stepInto(member, key);
    const { type, properties, additionalProperties, items, prefixItems } = member as Record<string, unknown>;
    if (type === 'array' || items !== undefined) {
      if (!/^(0|[1-9]\d*)$/.test(key)) return [];
      const own = Array.isArray(prefixItems) ? (prefixItems[Number(key)] as Schema | undefined) : undefined;
      return [own ?? (items as Schema | undefined) ?? {}];
    }
    const known = properties as Record<string, Schema> | undefined;
    if (known !== undefined && Object.hasOwn(known, key)) return [known[key] ?? {}];
    if (typeof additionalProperties === 'object' && additionalProperties !== null)
      return [additionalProperties as Schema];
    // A schema that says nothing allows everything.
    return type === undefined && known === undefined ? [{}] : [];
  });
}

function typesIn(schema: Schema): string[] | null {
  const all = membersOf(schema).map((member): string[] | null => {
    if (member !== schema) return typesIn(member);
    const {
      type,
      const: value,
      enum: values,
    } = member as { type?: string | string[]; const?: unknown; enum?: unknown[] };
    if (type !== undefined) return [type].flat();
    if (values !== undefined) return values.map((known) => typeof known);
    return value === undefined ? null : [typeof value];
  });
  return all.some((types) => types === null) ? null : all.flatMap((types) => types ?? []);
}

/** The types at a place, `any` where the schema does not say; null where there is no such place. */
export function typesAt(schema: Schema, path: readonly string[]): ReadonlySet<string> | null {
  const places = path.reduce<Schema[]>((schemas, key) => schemas.flatMap((at) => stepInto(at, key)), [schema]);
  if (places.length === 0) return null;
  const types = places.map(typesIn);
  return types.some((found) => found === null) ? new Set(['any']) : new Set(types.flatMap((found) => found ?? []));
}

/** Whether a value of the one may be one of the other. */
export function mayFit(given: ReadonlySet<string>, wanted: ReadonlySet<string>): boolean {
  if (given.has('any') || wanted.has('any')) return true;
  return [...given].some((type) => wanted.has(type) || (type === 'integer' && wanted.has('number')));
}

/** For a sentence: `string or null`. */
export function typesOf(types: ReadonlySet<string>): string {
  return [...types].join(' or ');
}
