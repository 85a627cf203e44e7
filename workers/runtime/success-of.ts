/** The end of a task whose handler succeeded: its result, checked, in the record or at this worker's port. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import type { TaskEnd } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { keptBytesPerOwnerMax, type ResultPort } from './result-port.ts';

export interface ResultBounds {
  /** Largest result in a task record. */
  resultBytesMax: number;
  /** Largest result that goes past the record. */
  heldResultBytesMax: number;
  results: ResultPort;
}

/**
 * In the record, that of a change shortened where it is large; or, where a read's is large, at this worker's port: for the request
 * that is held for it, else for a time. Throws OutputTooLarge for a read past the bounds, QueueFull where the port has no room,
 * Internal for a result that its operation's schema refuses.
 */
export function successOf(deps: ResultBounds, operation: Operation, task: Task, raw: unknown): TaskEnd {
  const parsed = operation.result.safeParse(raw);
  if (!parsed.success) throw new BrokerError('Internal', 'An internal error occurred.', { cause: parsed.error });
  // Not for a mutation: a repeat with its idempotency key must find the result again.
  const isForOneReader = task.isHeld && !operation.mutates;
  // What is large for sure need not be made into text twice.
  if (!isForOneReader || !isSurelyLonger(parsed.data, deps.resultBytesMax)) {
    const resultJson = JSON.stringify(parsed.data);
    const sizeBytes = Buffer.byteLength(resultJson);
    if (sizeBytes <= deps.resultBytesMax) return { state: 'completed', resultJson };
    if (operation.mutates) {
      return { state: 'completed', resultJson: shortened(operation, parsed.data, sizeBytes, deps.resultBytesMax) };
    }
    if (!isForOneReader) return keepLarge(deps, task, resultJson, sizeBytes);
  }
  // As the client gets it, so that the API need not take it apart again.
  const { answer, resultHeaders } = operation.firecrest;
  const text = Buffer.from(JSON.stringify(answer(parsed.data)));
  if (text.length > deps.heldResultBytesMax) throw tooLarge(text.length, deps.heldResultBytesMax);
  return { state: 'completed', resultUrl: deps.results.offer(text, resultHeaders?.(parsed.data)) };
}

/** What a change has done is not undone by the size of its result, and a repeat finds that in the record or nowhere. */
function shortened(operation: Operation, result: unknown, sizeBytes: number, bytesMax: number): string {
  let last = sizeBytes;
  for (let shorter = operation.shorten?.(result); shorter !== undefined; shorter = operation.shorten?.(shorter)) {
    const resultJson = JSON.stringify(shorter);
    const bytes = Buffer.byteLength(resultJson);
    if (bytes <= bytesMax) return resultJson;
    if (bytes >= last) break;
    last = bytes;
  }
  // No change has such a result: the least bound has room for what none of them can leave out.
  throw tooLarge(last, bytesMax);
}

/** The next step of a chain takes its results from the record. */
function keepLarge(
  { results, resultBytesMax, heldResultBytesMax }: ResultBounds,
  { chain, owner }: Task,
  resultJson: string,
  sizeBytes: number,
): TaskEnd {
  const bytesMax = chain !== null ? resultBytesMax : Math.min(heldResultBytesMax, keptBytesPerOwnerMax);
  if (sizeBytes > bytesMax) throw tooLarge(sizeBytes, bytesMax);
  const { url, until } = results.keep(Buffer.from(resultJson), owner);
  return { state: 'completed', resultUrl: url, kept: { sizeBytes, until } };
}

/** Whether the JSON text of a value has more bytes than that: its strings alone do. False says nothing. */
export function isSurelyLonger(value: unknown, bytes: number): boolean {
  return stringLength(value, bytes) > bytes;
}

/** Characters of the strings in a value; no more are added up than say that there are more than `enough`. */
function stringLength(value: unknown, enough: number): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let length = 0;
  for (const member of Array.isArray(value) ? value : Object.values(value)) {
    length += stringLength(member, enough - length);
    if (length > enough) break;
  }
  return length;
}

function tooLarge(sizeBytes: number, boundBytes: number): BrokerError {
  return new BrokerError(
    'OutputTooLarge',
    `Command output exceeded buffer limit. The result has ${sizeBytes} bytes; the bound is ${boundBytes}.`,
  );
}
