/** How much of a file one answer may hold as text. */
import type { SystemConfig } from '../../../shared/platform/config/config.ts';
import { textBytesMax } from './text-source.ts';

/** Most bytes that one byte of a file becomes in JSON: a NUL is `\u0000`. */
const jsonBytesPerByte = 6;
/** Room for the other members of an answer. */
const besideBytes = 1_024;

/** Largest JSON answer that head, tail or view can have on a system. */
export function textAnswerBytesMax(system: Pick<SystemConfig, 'dataOperation'>): number {
  return jsonBytesPerByte * textLimit(system) + besideBytes;
}

/** Bytes: `max_ops_file_size` of the system, 16 MiB at most. */
export function textLimit({ dataOperation }: Pick<SystemConfig, 'dataOperation'>): number {
  return Math.min(dataOperation.maxOpsFileSizeBytes, textBytesMax);
}
