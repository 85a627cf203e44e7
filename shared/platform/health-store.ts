/**
 * The health of systems in Redis, and the lease of the one worker that probes a system. Only the holder of the lease may
 * write, so a worker that was thought dead changes nothing. Keys: one lease, one record and a list for each service.
 */
import { type ProbeRecord, parseProbeRecord, parseSystemHealth, type SystemHealth } from '../health/system-health.ts';
import { type Redis, withStore } from './redis.ts';
import { createSystemLeases, type SystemLeases } from './system-leases.ts';

/** Probes of one service that are kept: a day of them, if they come every 58 s or less often. */
const historyMax = 1_500;
const historyMs = 24 * 3_600_000;

export interface SystemReading {
  /** Null: never probed, or not for long. */
  health: SystemHealth | null;
  /** Whether somebody probes; what an absent prober last wrote must not be held against a system. */
  isProbed: boolean;
}

/** What one write adds to the history of a service. */
export interface HistoryEntry {
  serviceKey: string;
  probe: ProbeRecord;
}

/** Each method throws StoreUnavailable when Redis cannot serve. */
export interface HealthStore extends SystemLeases {
  /** Replaces the record, which is kept for `keepMs`. False: the lease is another worker's now, nothing was written. */
  write(
    system: string,
    worker: string,
    health: SystemHealth,
    keepMs: number,
    entry: HistoryEntry | null,
  ): Promise<boolean>;
  /** By system name; one round trip. */
  read(systems: readonly string[]): Promise<Map<string, SystemReading>>;
  /** The probes of a service in the last 24 hours, newest first, `countMax` at most. */
  history(system: string, serviceKey: string, countMax: number): Promise<ProbeRecord[]>;
}

/** KEYS: lease, record, history. ARGV: worker, record, keep ms, history entry (empty: none), its bound, its keep ms. */
const writeScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('LPUSH', KEYS[3], ARGV[4])
  redis.call('LTRIM', KEYS[3], 0, ARGV[5] - 1)
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
return 1
`;

/** A store over a connection, which stays the caller's to close. */
export function createHealthStore(redis: Redis, keyPrefix: string): HealthStore {
  const leaseKey = (system: string) => `${keyPrefix}:health:lease:${system}`;
  const recordKey = (system: string) => `${keyPrefix}:health:record:${system}`;
  const historyKey = (system: string, key: string) => `${keyPrefix}:health:history:${system}:${key}`;
  return {
    ...createSystemLeases(redis, leaseKey),
    async write(system, worker, health, keepMs, entry) {
      const keys = [leaseKey(system), recordKey(system), historyKey(system, entry?.serviceKey ?? '')];
      const probe = entry === null ? '' : JSON.stringify(entry.probe);
      const values = [worker, JSON.stringify(health), keepMs, probe, historyMax, historyMs];
      return (await withStore(() => redis.eval(writeScript, keys.length, ...keys, ...values))) === 1;
    },
    async read(systems) {
      if (systems.length === 0) return new Map();
      const keys = systems.flatMap((system) => [leaseKey(system), recordKey(system)]);
      const values = await withStore(() => redis.mget(keys));
      return new Map(
        systems.map((system, at): [string, SystemReading] => {
          const health = parseSystemHealth(values[2 * at + 1] ?? null);
          return [system, { health, isProbed: (values[2 * at] ?? null) !== null }];
        }),
      );
    },
    async history(system, serviceKey, countMax) {
      const rows = await withStore(() => redis.lrange(historyKey(system, serviceKey), 0, countMax - 1));
      const oldest = Date.now() - historyMs;
      return rows.flatMap((row) => parseProbeRecord(row) ?? []).filter(({ at }) => at >= oldest);
    },
  };
}
