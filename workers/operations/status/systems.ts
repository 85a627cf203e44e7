/** The configured systems, as FirecREST v2 shows them. Health is null until something probes. */
import type { ResultOf } from '../../../shared/operations/operation.ts';
import type { systems } from '../../../shared/operations/status/systems.ts';
import type { BrokerContext } from '../operation-context.ts';

export async function handleSystems(
  _input: Record<string, never>,
  context: Pick<BrokerContext, 'systems'>,
): Promise<ResultOf<typeof systems>> {
  return {
    systems: context.systems.map(({ firecrest }) => ({
      ...firecrest,
      scheduler: { ...firecrest.scheduler, timeout: firecrest.scheduler.timeout ?? 10 },
      servicesHealth: null,
      lastHealthCheck: null,
    })),
  };
}
