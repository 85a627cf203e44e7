/** What the probes of every system last found, whichever worker made them. */
import type { SystemHealth } from '../../shared/health/system-health.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import type { HealthStore } from '../../shared/platform/health-store.ts';
import { targetsOf } from './targets.ts';

/** By system name; systems that are not probed, or not yet, are left out. One round trip, or none where nothing is probed. */
export async function readKnownHealth(
  store: Pick<HealthStore, 'read'>,
  systems: readonly SystemConfig[],
): Promise<Map<string, SystemHealth>> {
  const probed = systems.filter((system) => targetsOf(system).length > 0).map(({ name }) => name);
  const readings = await store.read(probed);
  return new Map([...readings].flatMap(([name, { health }]) => (health === null ? [] : [[name, health] as const])));
}
