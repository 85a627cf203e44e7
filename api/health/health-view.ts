/**
 * What this API process knows of the systems' health: read from Redis once a second, so that no request waits for it.
 * Only what somebody probes now counts; without news for a while nothing is known, which is never "broken".
 */
import type { Logger } from 'pino';
import type { SystemHealth } from '../../shared/health/system-health.ts';
import type { HealthStore } from '../../shared/platform/health-store.ts';

export interface HealthView {
  /** Undefined: not known. */
  find(system: string): SystemHealth | undefined;
  close(): void;
}

export interface HealthViewOptions {
  store: Pick<HealthStore, 'read'>;
  /** Names of the systems that are probed; with none, Redis is never asked. */
  systems: readonly string[];
  log: Logger;
}

const refreshMs = 1_000;
/** What was read longer ago is forgotten: Redis has been away since. */
const trustedMs = 10_000;

/** Reads at once and then every second, one reading at a time. */
export function createHealthView({ store, systems, log }: HealthViewOptions): HealthView {
  let known = new Map<string, SystemHealth>();
  let readAt = 0;
  let isReading = false;

  const refresh = async (): Promise<void> => {
    const readings = await store.read(systems);
    known = new Map(
      [...readings].flatMap(([name, { health, isProbed }]) => (isProbed && health ? [[name, health] as const] : [])),
    );
    readAt = Date.now();
  };
  const look = (): void => {
    if (isReading) return;
    isReading = true;
    refresh()
      .catch((error: unknown) => {
        if (Date.now() - readAt > trustedMs) known.clear();
        log.debug({ err: error }, 'the health of the systems could not be read');
      })
      .finally(() => {
        isReading = false;
      });
  };
  const timer = systems.length === 0 ? undefined : setInterval(look, refreshMs).unref();
  if (systems.length > 0) look();
  return { find: (system) => known.get(system), close: () => clearInterval(timer) };
}
