/** The schemas of events, by the names that both documents have for them. */
import { eventSchemas } from '../../shared/tasks/event.ts';
import { resultSchema } from './json-schemas.ts';
import type { Json } from './parts.ts';

export function eventComponents(): Json {
  return Object.fromEntries(Object.values(eventSchemas).map(({ name, view }) => [name, resultSchema(view)]));
}
