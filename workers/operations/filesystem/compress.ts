/**
 * Packs an archive with GNU tar on the cluster. It is written beside its target and takes the target's name when it is
 * whole, so that nobody meets half of it and an old one stays until then.
 */
import type { compress } from '../../../shared/operations/filesystem/compress.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { packSayings, preparePacking } from './packing.ts';
import { unlessMissing } from './unless-missing.ts';

type Context = Pick<OperationContext, 'files' | 'shell' | 'signal' | 'task' | 'log'>;

/** A later attempt packs everything once more. Throws FileNotFound, PermissionDenied, InvalidRequest, CommandTimeout … */
export async function handleCompress(
  input: InputOf<typeof compress>,
  context: Context,
): Promise<ResultOf<typeof compress>> {
  const { files, shell, signal } = context;
  const { argv, cwd, part } = await preparePacking(input, context);
  try {
    const result = await shell.run(argv, { signal, cwd, usesCommandLoop: true });
    if (result.exitCode !== 0) throw remoteFailure('tar', result, packSayings);
    await files.rename(part, input.targetPath, { signal });
  } catch (error) {
    await discard(part, context);
    throw error;
  }
  return { path: input.targetPath };
}

/** Whatever ended the attempt, also its signal. A part that cannot be removed now is named in the log. */
async function discard(part: string, { files, log }: Context): Promise<void> {
  try {
    await unlessMissing(files.unlink(part));
  } catch (error) {
    log.warn({ part, err: error }, 'the part of an archive was left behind');
  }
}
