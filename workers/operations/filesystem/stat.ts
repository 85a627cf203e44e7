/** Status of a file over the lstat loop, which alone knows all ten fields. */

import type { stat } from '../../../shared/operations/filesystem/stat.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

export async function handleStat(
  input: InputOf<typeof stat>,
  context: Pick<OperationContext, 'stats' | 'signal'>,
): Promise<ResultOf<typeof stat>> {
  const found = await context.stats.stat(input.path, { dereference: input.dereference, signal: context.signal });
  const { mode, ino, dev, nlink, uid, gid, sizeBytes, atime, ctime, mtime } = found;
  return { mode, ino, dev, nlink, uid, gid, size: sizeBytes, atime, ctime, mtime };
}
