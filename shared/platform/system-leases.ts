/** Leases in Redis: of all workers, the one that does a kind of standing work for a system. One that died is followed within seconds. */
import { type Redis, withStore } from './redis.ts';

/** A worker that died is followed by another one after this long. */
const leaseMs = 5_000;
/** How often a holder renews: less than a third of the life of a lease. */
export const leaseRenewMs = 1_500;

/** Each method throws StoreUnavailable when Redis cannot serve. */
export interface SystemLeases {
  /** Takes or renews the leases of the systems that nobody else holds; the names of those that `worker` holds now. */
  lead(systems: readonly string[], worker: string): Promise<string[]>;
  /** Gives the leases back that `worker` holds. */
  release(systems: readonly string[], worker: string): Promise<void>;
}

/** KEYS: leases. ARGV: worker, lease ms. Returns the places of the leases that the worker holds. */
const leadScript = `
local held = {}
for place, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if not owner or owner == ARGV[1] then
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    held[#held + 1] = place
  end
end
return held
`;

/** KEYS: leases. ARGV: worker. */
const releaseScript = `
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
return 0
`;

export function createSystemLeases(redis: Redis, keyOf: (system: string) => string): SystemLeases {
  return {
    async lead(systems, worker) {
      if (systems.length === 0) return [];
      const keys = systems.map(keyOf);
      const places = await withStore(() => redis.eval(leadScript, keys.length, ...keys, worker, leaseMs));
      return (places as number[]).flatMap((place) => systems[place - 1] ?? []);
    },
    async release(systems, worker) {
      if (systems.length === 0) return;
      await withStore(() => redis.eval(releaseScript, systems.length, ...systems.map(keyOf), worker));
    },
  };
}
