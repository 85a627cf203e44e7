/** The staging stores of a configuration. The S3 client is large, and is loaded only where a system has a store. */
import type { SystemConfig } from '../platform/config/config.ts';
import type { Staging } from './staging.ts';

/** Store by system name, for systems that have one. Makes no request. */
export async function openStagings(
  systems: readonly Pick<SystemConfig, 'name' | 'dataOperation'>[],
): Promise<ReadonlyMap<string, Staging>> {
  const configured = systems.flatMap(({ name, dataOperation: { dataTransfer } }) =>
    dataTransfer?.type === 's3' ? [[name, dataTransfer] as const] : [],
  );
  if (configured.length === 0) return new Map();
  const { createStaging } = await import('./staging.ts');
  return new Map(configured.map(([name, config]) => [name, createStaging(config)]));
}
