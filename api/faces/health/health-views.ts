/** The health of systems as the native face shows it: camelCase, RFC 3339 times, milliseconds. */
import { z } from 'zod';
import {
  healthServices,
  type ProbeRecord,
  type ServiceHealth,
  serviceKey,
} from '../../../shared/health/system-health.ts';
import type { SystemReading } from '../../../shared/platform/health-store.ts';

const probeView = z.object({
  at: z.iso.datetime(),
  healthy: z.boolean(),
  latencyMs: z.number(),
  message: z.string().nullable(),
});

const serviceView = z.object({
  service: z.enum(healthServices),
  path: z.string().nullable().describe('Root of the file system; null for the other services'),
  healthy: z.boolean().describe('False: requests that need it are refused'),
  since: z.iso.datetime(),
  lastChecked: z.iso.datetime(),
  latencyMs: z.number(),
  message: z.string().nullable(),
  history: z.array(probeView).optional().describe('The probes of the last 24 hours, newest first'),
});

export const systemHealthView = z.object({
  system: z.string(),
  probed: z.boolean().describe('Whether a worker probes it now. If not, nothing is refused'),
  exception: z
    .object({ at: z.iso.datetime(), message: z.string() })
    .nullable()
    .describe('Why the probes cannot log in; nothing is refused for it'),
  services: z.array(serviceView).describe('Services that are known; empty where none is probed'),
});

export const systemsHealthView = z.object({ systems: z.array(systemHealthView) });

type SystemHealthView = z.infer<typeof systemHealthView>;

const timeText = (at: number): string => new Date(at).toISOString();

/** `histories` by the key of the service; without it no history is shown. */
export function viewSystemHealth(
  system: string,
  { health, isProbed }: SystemReading,
  histories?: ReadonlyMap<string, readonly ProbeRecord[]>,
): SystemHealthView {
  const exception = health?.exception ?? null;
  return {
    system,
    probed: isProbed,
    exception: exception && { at: timeText(exception.at), message: exception.message },
    services: (health?.services ?? []).map((entry) => ({
      ...viewService(entry),
      ...(histories ? { history: (histories.get(serviceKey(entry)) ?? []).map(viewProbe) } : {}),
    })),
  };
}

function viewService({ service, path, isHealthy, since, checkedAt, latencyMs, message }: ServiceHealth) {
  return {
    ...{ service, path, healthy: isHealthy, latencyMs, message },
    since: timeText(since),
    lastChecked: timeText(checkedAt),
  };
}

function viewProbe({ at, isHealthy, latencyMs, message }: ProbeRecord) {
  return { at: timeText(at), healthy: isHealthy, latencyMs, message };
}
