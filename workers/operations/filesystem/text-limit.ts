/** How much of a file one answer may hold as text. */
import type { SystemConfig } from '../../../shared/platform/config/config.ts';
import { textBytesMax } from './text-source.ts';

/** Bytes: `max_ops_file_size` of the system, 16 MiB at most. */
export function textLimit({ dataOperation }: Pick<SystemConfig, 'dataOperation'>): number {
  return Math.min(dataOperation.maxOpsFileSizeBytes, textBytesMax);
}
