/** The room that Redis has for tasks, as metrics. */
import { type Reading, reading } from '../../shared/platform/metrics/meter.ts';
import type { StoreMemory } from './store-room.ts';

export function storeReadings(memory: StoreMemory | null): Reading[] {
  if (memory === null) return [];
  return [
    reading('goldcrest_redis_memory_used_bytes', {}, memory.usedBytes),
    reading('goldcrest_redis_memory_accept_bytes', {}, memory.acceptBytesMax),
  ];
}
