/**
 * How a step of a chain takes what an earlier one gave: `{ "$from": "submit/jobId" }` stands for a value, with the name of
 * the step and a JSON pointer (RFC 6901) into its result after it.
 */
import { BrokerError } from '../errors/broker-error.ts';
import { isJsonObject } from '../json-object.ts';

/** The one key of a reference. */
export const referenceKey = '$from';

export interface StepReference {
  step: string;
  /** The way into the step's result; empty: all of it. */
  pointer: string[];
}

export interface PlacedReference {
  /** Where in the input it stands. */
  path: string[];
  text: string;
  /** Whether the object holds nothing else. */
  isAlone: boolean;
}

type Json = Record<string, unknown>;

/** Whether a value is meant as a reference: an object with its key. */
export function isReference(value: unknown): value is Json {
  return isJsonObject(value) && Object.hasOwn(value, referenceKey);
}

/** `submit/jobId` in its parts; null for what is no reference. */
export function parseReference(text: unknown): StepReference | null {
  const match = typeof text === 'string' ? /^([A-Za-z0-9_-]+)((?:\/[^/]*)*)$/.exec(text) : null;
  if (match?.[1] === undefined) return null;
  const steps = (match[2] ?? '').split('/').slice(1);
  return { step: match[1], pointer: steps.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')) };
}

/** Every reference within a value. */
export function findReferences(value: unknown, path: string[] = []): PlacedReference[] {
  if (isReference(value))
    return [
      {
        path,
        text: typeof value[referenceKey] === 'string' ? value[referenceKey] : '',
        isAlone: Object.keys(value).length === 1,
      },
    ];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => findReferences(member, [...path, key]));
}

function valueAt(value: unknown, pointer: readonly string[]): unknown {
  return pointer.reduce<unknown>((at, key) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    return (at as Json)[key];
  }, value);
}

/** The value with what the references stand for. InvalidRequest where a result has no such place. */
export function resolveReferences(value: unknown, results: ReadonlyMap<string, unknown>): unknown {
  if (isReference(value)) {
    const reference = parseReference(value[referenceKey]);
    const found = reference === null ? undefined : valueAt(results.get(reference.step), reference.pointer);
    if (found !== undefined) return found;
    throw new BrokerError(
      'InvalidRequest',
      `The result that \`${String(value[referenceKey])}\` refers to has no such place.`,
    );
  }
  if (Array.isArray(value)) return value.map((member) => resolveReferences(member, results));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, resolveReferences(member, results)]));
}
