/** Unpacks an archive with GNU tar on the cluster. What was unpacked before a failure stays. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { extract } from '../../../shared/operations/filesystem/extract.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { unpackCommand, unpackRefusal } from './bounded-unpacking.ts';
import { isDirectory, isRegularFile } from './mode-letters.ts';
import { archiveSayings } from './tar.ts';

type Context = Pick<OperationContext, 'files' | 'shell' | 'signal' | 'system'>;

/** Unpacking again replaces what is there, so a later attempt ends where the first would have. */
export async function handleExtract(
  input: InputOf<typeof extract>,
  context: Context,
): Promise<ResultOf<typeof extract>> {
  const result = await context.shell.run(await extractCommand(input, context), { signal: context.signal });
  if (result.exitCode === 0) return { path: input.targetPath };
  throw unpackRefusal(result.exitCode, context.system.transfers) ?? remoteFailure('tar', result, archiveSayings);
}

/** The command, when archive and target are what they should be. Throws FileNotFound, PermissionDenied, InvalidRequest. */
export async function extractCommand(
  { path, targetPath, compression }: InputOf<typeof extract>,
  { files, signal, system }: Pick<Context, 'files' | 'signal' | 'system'>,
): Promise<string[]> {
  const [archive, target] = await Promise.all([files.stat(path, { signal }), files.stat(targetPath, { signal })]);
  if (!isRegularFile(archive.mode)) throw new BrokerError('InvalidRequest', `tar: '${path}' is not a regular file`);
  if (!isDirectory(target.mode)) throw new BrokerError('InvalidRequest', `tar: '${targetPath}' is not a directory`);
  return unpackCommand(path, targetPath, compression, system.transfers);
}
