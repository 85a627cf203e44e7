/** What a change answers with fits into its record, whatever the cluster says: its task must not fail for its size. */
import { expect, it } from 'vitest';
import { z } from 'zod';
import { findOperation, operationNames } from '../../shared/operations/registry.ts';
import type { Task } from '../../shared/tasks/task.ts';
import type { ResultPort } from '../../workers/runtime/result-port.ts';
import { successOf } from '../../workers/runtime/success-of.ts';

/** The least `result_size_max` that a configuration may name. */
const resultBytesMax = 2 ** 16;
/** Six bytes each in JSON. */
const worst = (chars: number): string => '\u0001'.repeat(chars);
const pathChars = 4_096;
const outputChars = 32 * 1_024;
const otherChars = 64;
const listed = 200;

const charsByField: Record<string, number> = {
  ...{ path: pathChars, targetPath: pathChars, name: pathChars, linkTarget: pathChars, reason: pathChars },
  ...{ copiedPaths: pathChars, skippedPaths: pathChars, stdout: outputChars, stderr: outputChars },
};

interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
}

/** As much as a result can say by its schema. */
function largestOf(schema: Schema, field: string): unknown {
  const [first] = schema.anyOf ?? [];
  if (first !== undefined) return largestOf(first, field);
  if (schema.enum !== undefined) return schema.enum[0];
  switch ([schema.type].flat()[0]) {
    case 'object': {
      const members = Object.entries(schema.properties ?? {});
      return Object.fromEntries(members.map(([name, member]) => [name, largestOf(member, name)]));
    }
    case 'array':
      return Array.from({ length: listed }, () => largestOf(schema.items ?? {}, field));
    case 'string':
      return worst(charsByField[field] ?? otherChars);
    case 'boolean':
      return false;
    default:
      return Number.MAX_SAFE_INTEGER;
  }
}

const changes = operationNames.filter((name) => findOperation(name)?.mutates);
const noPort: ResultPort = {
  offer: () => expect.unreachable('a change is in its record'),
  keep: () => expect.unreachable('a change is in its record'),
};

it.each(changes)('%s completes with the largest result it can have, in its record', (name) => {
  const operation = findOperation(name);
  if (operation === undefined) throw new Error(name);
  const largest = largestOf(z.toJSONSchema(operation.result, { unrepresentable: 'any' }) as Schema, '');
  const bounds = { resultBytesMax, heldResultBytesMax: 2 ** 24, results: noPort };
  for (const isHeld of [true, false]) {
    const end = successOf(bounds, operation, { isHeld, chain: null } as Task, largest);
    const { resultJson } = end as { resultJson: string };
    expect([end.state, Buffer.byteLength(resultJson) <= resultBytesMax]).toEqual(['completed', true]);
    expect(operation.result.safeParse(JSON.parse(resultJson)).success).toBe(true);
  }
});

it('an output that was shortened says so, and is not cut within a character', () => {
  const operation = findOperation('compute.attach');
  const run = { exitCode: 0, stdout: '😀'.repeat(9), stderr: '', isTruncated: false };
  expect(operation?.shorten?.(run)).toEqual({ ...run, stdout: '😀'.repeat(4), isTruncated: true });
});
