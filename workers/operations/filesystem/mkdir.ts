/** Makes a directory over SFTP; with `parent` as `mkdir -p` does. */
import { posix } from 'node:path';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { mkdir } from '../../../shared/operations/filesystem/mkdir.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';
import { describeChanged, describeFile } from './describe-files.ts';
import { isDirectory } from './mode-letters.ts';
import { unlessMissing } from './unless-missing.ts';

type Context = Pick<OperationContext, 'files' | 'listing' | 'signal' | 'task'>;

/** On a later attempt a directory that is there is the one that an earlier attempt was asked for. */
export async function handleMkdir(
  { path, parent }: InputOf<typeof mkdir>,
  context: Context,
): Promise<ResultOf<typeof mkdir>> {
  const { signal, task } = context;
  const wasMade = task.attempt > 1 && (await isDirectoryAt(path, context));
  if (!wasMade) {
    refuseUnwanted(context);
    if (!parent) {
      return { entry: await describeChanged(path, (ordered) => ordered.mkdir(path, { signal }), context) };
    }
    await makeTree(path, context);
  }
  return { entry: await describeFile(path, context) };
}

/** From the first directory that exists downwards. Another's work at the same time is no error. */
async function makeTree(path: string, context: Context): Promise<void> {
  const missing: string[] = [];
  for (let at = path; !(await isDirectoryBelow(at, path, context)); at = posix.dirname(at)) missing.unshift(at);
  for (const at of missing) await makeUnlessThere(at, context);
}

/** Whether it is there; what is there and is no directory is in the way. */
async function isDirectoryBelow(at: string, path: string, { files, signal }: Context): Promise<boolean> {
  const found = await unlessMissing(files.stat(at, { signal }));
  if (found === null || isDirectory(found.mode)) return found !== null;
  if (at === path) throw new BrokerError('FileExists', `mkdir: cannot create directory '${at}': File exists`);
  throw new BrokerError('InvalidRequest', `mkdir: cannot create directory '${at}': Not a directory`);
}

async function makeUnlessThere(path: string, context: Context): Promise<void> {
  try {
    await context.files.mkdir(path, { signal: context.signal });
  } catch (error) {
    const isThere = error instanceof BrokerError && error.code === 'FileExists' && (await isDirectoryAt(path, context));
    if (!isThere) throw error;
  }
}

async function isDirectoryAt(path: string, { files, signal }: Context): Promise<boolean> {
  const found = await unlessMissing(files.stat(path, { signal }));
  return found !== null && isDirectory(found.mode);
}
