/** Makes a symbolic link over SFTP. Unlike ln(1) it never puts the link into a directory that has the link's name. */
import type { symlink } from '../../../shared/operations/filesystem/symlink.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { RemoteFiles } from '../../ssh/remote-files.ts';
import type { OperationContext } from '../operation-context.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';
import { describeChanged, describeFile, linkTargetOf } from './describe-files.ts';
import { unlessMissing } from './unless-missing.ts';

type Context = Pick<OperationContext, 'files' | 'listing' | 'signal' | 'task'>;

/** On a later attempt a link that points to the right place is the one that an earlier attempt made. */
export async function handleSymlink(
  { path, linkPath }: InputOf<typeof symlink>,
  context: Context,
): Promise<ResultOf<typeof symlink>> {
  const { signal, task } = context;
  const link = linkPath.replace(/(?<=.)\/+$/, ''); // a link cannot be made where its name says "directory"
  const wasMade = task.attempt > 1 && (await targetAt(link, context)) === path;
  if (wasMade) return { entry: await describeFile(link, context) };
  refuseUnwanted(context);
  const make = (ordered: RemoteFiles): Promise<void> => ordered.symlink(path, link, { signal });
  return { entry: await describeChanged(link, make, context, { makesLink: true }) };
}

async function targetAt(link: string, { files, signal }: Context): Promise<string | null> {
  const found = await unlessMissing(files.lstat(link, { signal }));
  return found === null ? null : linkTargetOf(files, link, found, signal);
}
