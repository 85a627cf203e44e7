/** Changes a mode with the meaning of GNU chmod: octal digits over SFTP, symbolic modes by chmod(1) itself. */
import type { chmod } from '../../../shared/operations/filesystem/chmod.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { FileAttributes } from '../../ssh/remote-files.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { describeChanged, describeFile } from './describe-files.ts';
import { isDirectory } from './mode-letters.ts';

type Context = Pick<OperationContext, 'files' | 'shell' | 'listing' | 'signal'>;

/** What octal digits ask for hangs on what is there; undefined for other modes. */
export function lookAtMode(
  { path, mode }: InputOf<typeof chmod>,
  { files, signal }: Pick<Context, 'files' | 'signal'>,
): Promise<FileAttributes> | undefined {
  return /^[0-7]+$/.test(mode) ? files.stat(path, { signal }) : undefined;
}

export async function handleChmod(
  input: InputOf<typeof chmod>,
  context: Context,
  looked = lookAtMode(input, context),
): Promise<ResultOf<typeof chmod>> {
  const { path, mode } = input;
  const { shell, signal } = context;
  if (looked !== undefined) {
    const wanted = numericMode(mode, (await looked).mode);
    return { entry: await describeChanged(path, (ordered) => ordered.chmod(path, wanted, { signal }), context) };
  }
  const result = await shell.run(['chmod', '--', mode, path], { signal, usesCommandLoop: true });
  if (result.exitCode !== 0) throw remoteFailure('chmod', result);
  return { entry: await describeFile(path, context) };
}

/**
 * The bits that octal digits ask for. A directory keeps its set-user-ID and set-group-ID bits unless five digits or more
 * say otherwise, see "Directories and the Set-User-ID and Set-Group-ID Bits" of the coreutils manual.
 */
export function numericMode(digits: string, present: number): number {
  const kept = isDirectory(present) && digits.length < 5 ? present & 0o6000 : 0;
  return Number.parseInt(digits, 8) | kept;
}
