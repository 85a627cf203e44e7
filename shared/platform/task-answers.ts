/** What the scripts of the task store answer with: flat lists, as Redis has them. */
import { parseTask, type Task } from '../tasks/task.ts';
import type { TaskTicket } from './queues.ts';

/** A flat list of field, value … as an object. */
export function fieldsOf(flat: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i] ?? ''] = flat[i + 1] ?? '';
  return fields;
}

/** Tickets of tasks that were let through, from their ids and fences. */
export function promotedOf(flat: readonly string[]): TaskTicket[] {
  return Object.entries(fieldsOf(flat)).map(([id, fence]) => ({ id, fence: Number(fence), via: 'promotion' }));
}

/** A record as it was read before its task begins, and whether its turn has come. */
export interface Peeked {
  task: Task;
  isAdmitted: boolean;
}

/** {admitted 1|0, field, value …}, or nothing. */
export type PeekedFields = readonly (string | number)[];

/** Null where there is no such record. */
export function peekedOf([isAdmitted, ...flat]: PeekedFields): Peeked | null {
  if (isAdmitted === undefined) return null;
  return { task: parseTask(fieldsOf(flat.map(String))), isAdmitted: Number(isAdmitted) === 1 };
}
