/** Which queues there are: one for each lane and system that an operation can run in. */
import type { Lane } from '../operations/lanes.ts';
import { operationNames, operations } from '../operations/registry.ts';
import { queueName } from './queues.ts';

export interface QueuePlace {
  queue: string;
  lane: Lane;
  /** Null: of operations about the broker itself. */
  system: string | null;
}

/** Each once, for these systems. */
export function queuePlacesOf(systems: readonly { name: string }[]): QueuePlace[] {
  const places = operationNames.flatMap((name): QueuePlace[] => {
    const { lane, scope } = operations[name];
    const on = scope === 'none' ? [null] : systems.map((system) => system.name);
    return on.map((system) => ({ queue: queueName(lane, system), lane, system }));
  });
  return [...new Map(places.map((place) => [place.queue, place])).values()];
}
