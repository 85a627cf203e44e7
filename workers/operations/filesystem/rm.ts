/** Removes one file over SFTP, a directory with all that is in it by rm(1). */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { rm } from '../../../shared/operations/filesystem/rm.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { isDirectory } from './mode-letters.ts';
import { refuseRoots } from './refuse-roots.ts';

type Context = Pick<OperationContext, 'files' | 'pathGate' | 'shell' | 'signal' | 'task'>;

/** On a later attempt what is missing was removed by an earlier one. */
export async function handleRm({ path }: InputOf<typeof rm>, context: Context): Promise<ResultOf<typeof rm>> {
  await refuseRoots(path, context);
  try {
    await remove(path, context);
  } catch (error) {
    const isDone = error instanceof BrokerError && error.code === 'FileNotFound' && context.task.attempt > 1;
    if (!isDone) throw error;
  }
  return { path };
}

async function remove(path: string, { files, shell, signal }: Context): Promise<void> {
  try {
    await files.unlink(path, { signal });
  } catch (error) {
    // SFTP has one status for most errors; that it is a directory has to be looked for.
    const isUnclear = error instanceof BrokerError && error.code === 'RemoteCommandFailed';
    if (!isUnclear || !isDirectory((await files.lstat(path, { signal })).mode)) throw error;
    const result = await shell.run(['rm', '-r', '--interactive=never', '--', path], { signal });
    if (result.exitCode !== 0) throw remoteFailure('rm', result);
  }
}
