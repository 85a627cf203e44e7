/** Counts what came of an accept: a new task, or the one that an earlier request with the same key had made. */
import type { Accepted, NewTask } from '../task-store.ts';
import { type Meter, operationLabel, systemLabel } from './meter.ts';

export function countAccept(
  meter: Meter,
  { operation, system, chain }: Pick<NewTask, 'operation' | 'system' | 'chain'>,
  { isNew }: Pick<Accepted, 'isNew'>,
): void {
  if (isNew)
    meter.count('goldcrest_tasks_accepted_total', {
      operation: operationLabel(operation, chain),
      system: systemLabel(system),
    });
  else meter.count('goldcrest_idempotent_replays_total', {});
}
