/** The health of probed systems as metrics: 0 where any service of a kind is broken, and nothing of what is not known. */
import type { SystemHealth } from '../../shared/health/system-health.ts';
import { type ReadAtScrape, type Reading, reading } from '../../shared/platform/metrics/meter.ts';

export function readServices(
  systems: readonly string[],
  find: (system: string) => SystemHealth | undefined,
): ReadAtScrape {
  return () => systems.flatMap((system) => readingsOf(system, find(system)?.services ?? []));
}

function readingsOf(system: string, services: SystemHealth['services']): Reading[] {
  return [...new Set(services.map(({ service }) => service))].map((service) => {
    const isUp = services.every((one) => one.service !== service || one.isHealthy);
    return reading('goldcrest_service_up', { system, service }, isUp ? 1 : 0);
  });
}
