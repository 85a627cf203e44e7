/** The configured systems and the health of their services, as FirecREST v2 shows them. */
import type { SystemHealth } from '../../../shared/health/system-health.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { systems } from '../../../shared/operations/status/systems.ts';
import type { SystemConfig } from '../../../shared/platform/config/config.ts';
import { targetsOf } from '../../health/targets.ts';
import type { BrokerContext } from '../operation-context.ts';

type SystemView = ResultOf<typeof systems>['systems'][number];

export async function handleSystems(
  { names }: InputOf<typeof systems>,
  context: Pick<BrokerContext, 'systems' | 'readHealth'>,
): Promise<ResultOf<typeof systems>> {
  const health = await context.readHealth();
  const wanted = names?.toLowerCase().split(',');
  const shown = context.systems.filter(({ name }) => wanted === undefined || wanted.includes(name));
  return {
    systems: shown.map((system) => ({
      ...system.firecrest,
      scheduler: { ...system.firecrest.scheduler, timeout: system.firecrest.scheduler.timeout ?? 10 },
      ...healthView(health.get(system.name), system.probing),
      ...(mayLack(system, health.get(system.name))
        ? { dataOperation: { ...system.firecrest.dataOperation, data_transfer: null } }
        : {}),
    })),
  };
}

/** Whether the way of its transfers stands on a command that is looked for, and was not found by the last look. */
function mayLack(system: SystemConfig, health: SystemHealth | undefined): boolean {
  if (!targetsOf(system).some(({ service }) => service === 'wormhole')) return false;
  const found = health?.services.find(({ service }) => service === 'wormhole');
  return !(found?.isHealthy && found.message === null);
}

/** Null before the first probe, an empty list where no service is to be probed: clients tell them apart. */
function healthView(
  health: SystemHealth | undefined,
  { services }: SystemConfig['probing'],
): Pick<SystemView, 'servicesHealth' | 'lastHealthCheck'> {
  if (Object.keys(services ?? {}).length === 0) return { servicesHealth: [], lastHealthCheck: null };
  if (health === undefined) return { servicesHealth: null, lastHealthCheck: null };
  const { exception } = health;
  return {
    servicesHealth: [
      ...health.services.flatMap(({ service, path, checkedAt, latencyMs, isHealthy, message }) => {
        if (service === 'wormhole') return []; // no word of FirecREST's
        const lastChecked = timeText(checkedAt);
        const place = path === null ? {} : { path };
        return [
          { serviceType: service, lastChecked, latency: latencyMs / 1_000, healthy: isHealthy, message, ...place },
        ];
      }),
      // FirecREST's word for probes that could not be made. Nothing is refused for it.
      ...(exception === null
        ? []
        : [
            {
              serviceType: 'exception' as const,
              lastChecked: timeText(exception.at),
              latency: null,
              healthy: false,
              message: exception.message,
            },
          ]),
    ],
    lastHealthCheck: timeText(Math.max(...health.services.map(({ checkedAt }) => checkedAt))),
  };
}

function timeText(at: number): string | null {
  return Number.isFinite(at) ? new Date(at).toISOString() : null;
}
