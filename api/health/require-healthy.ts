/** Refuses at once what cannot succeed: a request that stands on a service of the system that is broken. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { findBroken, type ServiceHealth, type SystemHealth } from '../../shared/health/system-health.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { pathFieldsOf } from '../../shared/operations/paths.ts';
import type { SystemEntry } from '../http/app-env.ts';

/** Throws ServiceUnhealthy. `input` has its paths admitted; `system` is null for an operation that runs on none. */
export type RequireHealthy = (
  operation: Pick<Operation, 'requires' | 'paths'>,
  system: Pick<SystemEntry, 'name' | 'fileSystems'> | null,
  input: Readonly<Record<string, unknown>>,
) => void;

/** `find` answers from memory: this is on the way of every request. */
export function createRequireHealthy(
  find: (system: string) => SystemHealth | undefined,
  retryAfterMs: number,
): RequireHealthy {
  return (operation, system, input) => {
    const health = system === null ? undefined : find(system.name);
    if (system === null || health === undefined || health.services.every(({ isHealthy }) => isHealthy)) return;
    const paths = pathFieldsOf(operation)
      .map(({ field }) => input[field])
      .filter((path) => typeof path === 'string');
    const roots = system.fileSystems.map(({ path }) => path);
    const broken = findBroken(health, operation.requires, paths, roots);
    if (broken === undefined) return;
    throw new BrokerError('ServiceUnhealthy', sentences(broken, system.name), {
      retryAfterSeconds: Math.ceil(retryAfterMs / 1_000),
    });
  };
}

/** The first sentence is FirecREST's. */
function sentences({ service, path, since, message }: ServiceHealth, system: string): string {
  const which =
    path === null
      ? `The ${service} service for the requested system (${system}) is unhealthy.`
      : `The requested filesystem (${path} on ${system}) is unhealthy.`;
  const last = message === null ? '' : ` Last error: ${message}`;
  return `${which} It has been since ${new Date(since).toISOString()}.${last}`;
}
