/** What the scripts of the task store answer with: flat lists, as Redis has them. */
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
