/** Unpacks an archive with GNU tar on the cluster. What was unpacked before a failure stays. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { extract } from '../../../shared/operations/filesystem/extract.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { isDirectory, isRegularFile } from './mode-letters.ts';
import { archiveSayings, tarOptions } from './tar.ts';

type Context = Pick<OperationContext, 'files' | 'shell' | 'signal'>;

/** Unpacking again replaces what is there, so a later attempt ends where the first would have. */
export async function handleExtract(
  input: InputOf<typeof extract>,
  context: Context,
): Promise<ResultOf<typeof extract>> {
  const result = await context.shell.run(await extractCommand(input, context), {
    signal: context.signal,
    usesCommandLoop: true,
  });
  if (result.exitCode !== 0) throw remoteFailure('tar', result, archiveSayings);
  return { path: input.targetPath };
}

/** The command, when archive and target are what they should be. Throws FileNotFound, PermissionDenied, InvalidRequest. */
export async function extractCommand(
  { path, targetPath, compression }: InputOf<typeof extract>,
  { files, signal }: Pick<Context, 'files' | 'signal'>,
): Promise<string[]> {
  const [archive, target] = await Promise.all([files.stat(path, { signal }), files.stat(targetPath, { signal })]);
  if (!isRegularFile(archive.mode)) throw new BrokerError('InvalidRequest', `tar: '${path}' is not a regular file`);
  if (!isDirectory(target.mode)) throw new BrokerError('InvalidRequest', `tar: '${targetPath}' is not a directory`);
  return ['tar', '--extract', ...tarOptions(path, compression), `--directory=${targetPath}`];
}
