/** Opens a process's audit trail as the configuration wants it. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { type AuditLines, createLineFiles, createLinesTo } from '../audit/audit-lines.ts';
import { type AuditTrail, createAuditTrail } from '../audit/trail.ts';
import { type AuditStore, createAuditStore } from './audit-store.ts';
import type { AuditConfig } from './config/config.ts';
import type { Meter } from './metrics/meter.ts';
import type { Redis } from './redis.ts';

export interface OpenTrailOptions {
  kind: 'api' | 'worker';
  config: AuditConfig;
  keyPrefix: string;
  /** The connection of the tasks, so that records keep their order among what is said of them. */
  redis: Redis;
  stdout: { write(text: string): unknown };
  meter: Meter;
  log: Logger;
}

/** Each process has a chain of its own, under a name that no other has. */
export function openTrail({ kind, config, keyPrefix, redis, stdout, meter, log }: OpenTrailOptions): {
  trail: AuditTrail;
  store: AuditStore;
} {
  const writer = `${kind}-${hostname()}-${randomUUID()}`;
  const store = createAuditStore(redis, { keyPrefix, recordsMax: config.recordsMax });
  const toDisk: AuditLines | null = config.directory === null ? null : createLineFiles(config.directory, writer);
  const lines = config.isToStdout ? createLinesTo(stdout) : toDisk;
  const onFailure = (place: 'file' | 'redis', by = 1): void =>
    meter.count('goldcrest_audit_failures_total', { place }, by);
  for (const place of ['file', 'redis'] as const) onFailure(place, 0);
  return { trail: createAuditTrail({ writer, key: config.key, lines, store, log, onFailure }), store };
}
