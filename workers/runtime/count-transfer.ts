/** Counts the bytes of transfers that ended well, from their results; a step of a chain counts like a task. */
import { z } from 'zod';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import { type Meter, systemLabel } from '../../shared/platform/metrics/meter.ts';
import type { Settlement, TaskEnd } from '../../shared/platform/task-store.ts';
import type { Task } from '../../shared/tasks/task.ts';

type Direction = 'in' | 'out';

/** Which operations move bytes, and which way, seen from the cluster. A copy does both. */
const directions: ReadonlyMap<string, readonly Direction[]> = new Map([
  ['filesystem.upload', ['in']],
  ['filesystem.download', ['out']],
  ['transfer.upload', ['in']],
  ['transfer.upload-tree', ['in']],
  ['transfer.download', ['out']],
  ['transfer.download-tree', ['out']],
  ['transfer.copy', ['out', 'in']],
]);

const input = z.object({
  transferDirectives: z.object({ transferMethod: z.string().optional() }).optional(),
  targetSystem: z.string().optional(),
});
/** `bytes` of a transfer; `sentBytes` and `sizeBytes` of bytes that come or go with the request itself. */
const result = z.object({
  bytes: z.number().optional(),
  sentBytes: z.number().optional(),
  sizeBytes: z.number().optional(),
});

/** `systems` by name, for the mover that each has. */
export function countTransfer(
  meter: Meter,
  systems: ReadonlyMap<string, Pick<SystemConfig, 'transfers'>>,
  task: Pick<Task, 'operation' | 'system' | 'input'>,
  end: TaskEnd,
  settled: Settlement,
): void {
  const ways = directions.get(task.operation);
  if (ways === undefined || settled.outcome !== 'settled' || !('resultJson' in end)) return;
  const moved = result.safeParse(JSON.parse(end.resultJson)).data;
  const bytes = moved?.bytes ?? moved?.sentBytes ?? moved?.sizeBytes;
  if (bytes === undefined) return;
  const wish = input.safeParse(task.input).data;
  for (const direction of ways) {
    const target = direction === 'in' ? wish?.targetSystem?.toLowerCase() : undefined;
    const system = target ?? systemLabel(task.system);
    const mover = moverOf(task.operation, wish?.transferDirectives?.transferMethod, systems.get(system));
    meter.count('goldcrest_transfer_bytes_total', { system, mover, direction }, bytes);
  }
}

/** `direct`: with the request. Straight to a client by `streamer` or `wormhole`; else through the store by the system's mover. */
function moverOf(
  operation: string,
  method: string | undefined,
  system: Pick<SystemConfig, 'transfers'> | undefined,
): string {
  if (operation.startsWith('filesystem.')) return 'direct';
  if (method === 'streamer' || method === 'wormhole') return method;
  const mover = system?.transfers.mover ?? 'command';
  // Trees go between the cluster and the store, whatever carries single files.
  const isSingle = operation === 'transfer.upload' || operation === 'transfer.download';
  return mover === 'stream' && !isSingle ? 'command' : mover;
}
