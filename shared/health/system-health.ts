/**
 * What is known of the health of one system: an entry for each service that is probed, written by the worker that probes
 * and read by the API. An absent entry means "not known", which is never "broken".
 */
import { z } from 'zod';
import type { Requirement } from '../operations/operation.ts';
import { findRoot } from '../operations/paths.ts';

export type ProbedService = 'ssh' | 'scheduler' | 'filesystem' | 's3';
/** Besides these, the command of Magic Wormhole, where transfers go through it: no service of FirecREST's. */
export const healthServices = ['ssh', 'scheduler', 'filesystem', 's3', 'wormhole'] as const;

/** Times are milliseconds since the epoch. */
const serviceHealth = z.object({
  service: z.enum(healthServices),
  /** Root of the file system; null for the other services. */
  path: z.string().nullable(),
  isHealthy: z.boolean(),
  /** When it became so, as far as it is known. */
  since: z.number(),
  checkedAt: z.number(),
  /** Of the last probe. */
  latencyMs: z.number(),
  /** What the last probe met; null: nothing to tell. Public, 300 characters at most. */
  message: z.string().nullable(),
});

const systemHealth = z.object({
  services: z.array(serviceHealth),
  /** Why the probes that need a login could not be made at all; null: they could. */
  exception: z.object({ at: z.number(), message: z.string() }).nullable(),
});

/** One probe that was made. */
const probeRecord = z.object({
  at: z.number(),
  isHealthy: z.boolean(),
  latencyMs: z.number(),
  message: z.string().nullable(),
});

export type ServiceHealth = z.infer<typeof serviceHealth>;
export type SystemHealth = z.infer<typeof systemHealth>;
export type ProbeRecord = z.infer<typeof probeRecord>;

/** A service of a system; `path` is given for file systems only. */
export type ServiceName = Pick<ServiceHealth, 'service' | 'path'>;

/** Null for a text that this version cannot read: not known. */
export function parseSystemHealth(text: string | null): SystemHealth | null {
  return parseJson(systemHealth, text);
}

/** Null for a text that this version cannot read. */
export function parseProbeRecord(text: string): ProbeRecord | null {
  return parseJson(probeRecord, text);
}

function parseJson<Value>(schema: z.ZodType<Value>, text: string | null): Value | null {
  if (text === null) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null; // not JSON: another version's
  }
}

/** Key of a service among those of its system. */
export function serviceKey({ service, path }: ServiceName): string {
  return path === null ? service : `${service}:${path}`;
}

const servicesByRequirement: Record<Requirement, readonly ServiceHealth['service'][]> = {
  ssh: ['ssh'],
  scheduler: ['scheduler'],
  filesystem: ['filesystem'],
  storage: ['s3', 'wormhole'],
};

/**
 * The first broken service that a request stands on: those its operation requires, in that order, and of the file
 * systems (`roots`) those in which one of its paths lies.
 */
export function findBroken(
  health: SystemHealth,
  requires: readonly Requirement[],
  paths: readonly string[],
  roots: readonly string[],
): ServiceHealth | undefined {
  const broken = health.services.filter(({ isHealthy }) => !isHealthy);
  if (broken.length === 0) return undefined;
  const touched = new Set(paths.map((path) => findRoot(path, roots)));
  for (const requirement of requires) {
    const wanted = servicesByRequirement[requirement];
    const found = broken.find(({ service, path }) => wanted.includes(service) && (path === null || touched.has(path)));
    if (found) return found;
  }
  return undefined;
}
