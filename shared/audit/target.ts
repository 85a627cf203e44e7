/** What a request is about, as the audit trail names it. */
import type { Operation } from '../operations/operation.ts';
import { pathFieldsOf } from '../operations/paths.ts';

/** The paths in an operation's input, and the job. */
export function targetOf(operation: Operation, input: Record<string, unknown>): Record<string, string> {
  const fields = [...pathFieldsOf(operation).map(({ field }) => field), 'jobId', 'fileName'];
  return Object.fromEntries(
    fields.flatMap((field) => (typeof input[field] === 'string' ? [[field, input[field]]] : [])),
  );
}
