/** Unpacks an archive with GNU tar on the cluster. What was unpacked before a failure stays. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { extract } from '../../../shared/operations/filesystem/extract.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { isDirectory, isRegularFile } from './mode-letters.ts';
import { archiveSayings, tarOptions } from './tar.ts';

/** Unpacking again replaces what is there, so a later attempt ends where the first would have. */
export async function handleExtract(
  { path, targetPath, compression }: InputOf<typeof extract>,
  { files, shell, signal }: Pick<OperationContext, 'files' | 'shell' | 'signal'>,
): Promise<ResultOf<typeof extract>> {
  const [archive, target] = await Promise.all([files.stat(path, { signal }), files.stat(targetPath, { signal })]);
  if (!isRegularFile(archive.mode)) throw new BrokerError('InvalidRequest', `tar: '${path}' is not a regular file`);
  if (!isDirectory(target.mode)) throw new BrokerError('InvalidRequest', `tar: '${targetPath}' is not a directory`);
  const argv = ['tar', '--extract', ...tarOptions(path, compression), `--directory=${targetPath}`];
  const result = await shell.run(argv, { signal });
  if (result.exitCode !== 0) throw remoteFailure('tar', result, archiveSayings);
  return { path: targetPath };
}
