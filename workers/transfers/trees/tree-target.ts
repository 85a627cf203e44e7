/** The place where a tree is to appear: what is looked at before, and what is cleared away after a failure. */
import { posix } from 'node:path';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { isDirectory, isRegularFile } from '../../operations/filesystem/mode-letters.ts';
import { partialPath } from '../../operations/filesystem/partial-path.ts';
import { unlessMissing } from '../../operations/filesystem/unless-missing.ts';
import type { OperationContext, SystemSide } from '../../operations/operation-context.ts';
import { remoteFailure } from '../../operations/remote-failure.ts';

/** Without the slashes at the end of a directory's name. */
export function withoutSlash(path: string): string {
  return path.replace(/(?<=.)\/+$/, '');
}

/** Whether it is there. Throws InvalidRequest, FileNotFound, PermissionDenied where a transfer to it must fail. */
export async function checkTreeTarget(
  path: string,
  { merges, isFile }: { merges: boolean; isFile: boolean },
  { files, shell }: Pick<SystemSide, 'files' | 'shell'>,
  { signal }: Pick<OperationContext, 'signal'>,
): Promise<boolean> {
  const refused = (reason: string) => new BrokerError('InvalidRequest', `cannot write to '${path}': ${reason}`);
  if (path === '/') throw refused('it is the root of the file system');
  const found = await unlessMissing(files.lstat(path, { signal }));
  if (found !== null) {
    if (!merges) throw refused('File exists. With `merge` a directory is merged with, and a file replaced');
    if (isFile && !isRegularFile(found.mode)) throw refused('Not a regular file');
    if (!isFile && !isDirectory(found.mode)) throw refused('Not a directory');
  }
  const parent = posix.dirname(path);
  if (!isDirectory((await files.stat(parent, { signal })).mode)) throw refused('the directory above it is none');
  const places = found !== null && !isFile ? [parent, path] : [parent];
  for (const place of places) {
    const result = await shell.run(['sh', '-c', '[ -w "$1" ] && [ -x "$1" ] || exit 13', 'sh', place], { signal });
    if (result.exitCode === 13) {
      throw new BrokerError('PermissionDenied', `cannot write to '${path}': Permission denied in '${place}'`);
    }
    if (result.exitCode !== 0) throw remoteFailure('sh', result);
  }
  return found !== null;
}

/** A tree of a million files takes its time. */
const discardTimeoutMs = 100_000;

/** Removes what was unpacked beside the target. What cannot be removed is told of in the log. */
export async function discardTree(
  target: string,
  { shell }: Pick<SystemSide, 'shell'>,
  { task, log }: Pick<OperationContext, 'task' | 'log'>,
): Promise<void> {
  const part = partialPath(target, task.id);
  const program = '[ -d "$1" ] || exit 0; chmod -R u+rwX -- "$1"; rm -rf -- "$1"';
  const discarded = shell.run(['sh', '-c', program, 'sh', part], { timeoutMs: discardTimeoutMs });
  await discarded.then(
    ({ exitCode, stderr }) => {
      if (exitCode !== 0) log.warn({ part, stderr: stderr.toString() }, 'a partial tree was left behind');
    },
    (error: unknown) => log.warn({ part, err: error }, 'a partial tree was left behind'),
  );
}
