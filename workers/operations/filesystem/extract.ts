/** Unpacks an archive with GNU tar on the cluster. What was unpacked before a failure stays. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { extract } from '../../../shared/operations/filesystem/extract.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { FileAttributes } from '../../ssh/remote-files.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { unpackCommand, unpackRefusal } from './bounded-unpacking.ts';
import { directUnpackCommand, wasStoppedShort } from './direct-unpacking.ts';
import { isDirectory, isRegularFile } from './mode-letters.ts';
import { archiveSayings } from './tar.ts';

type Context = Pick<OperationContext, 'files' | 'shell' | 'signal' | 'system'>;

/** Unpacking again replaces what is there, so a later attempt ends where the first would have. */
export async function handleExtract(
  input: InputOf<typeof extract>,
  context: Context,
): Promise<ResultOf<typeof extract>> {
  const result = await unpack(input, context);
  if (result.exitCode === 0) return { path: input.targetPath };
  throw unpackRefusal(result.exitCode, context.system.transfers) ?? remoteFailure('tar', result, archiveSayings);
}

/** What is too small to pass a bound is unpacked by tar alone, and once more where it was not what it seemed. */
async function unpack(input: InputOf<typeof extract>, context: Context): Promise<RunResult> {
  const { path, targetPath, compression } = input;
  const { shell, signal, system } = context;
  const { sizeBytes } = await lookAtArchive(input, context);
  const direct = directUnpackCommand({ path, sizeBytes, compression }, targetPath, system.transfers);
  const result = direct && (await shell.run(direct, { signal, usesCommandLoop: true }));
  if (result && !wasStoppedShort(result)) return result;
  return await shell.run(unpackCommand(path, targetPath, compression, system.transfers), { signal });
}

/** The command, when archive and target are what they should be. Throws FileNotFound, PermissionDenied, InvalidRequest. */
export async function extractCommand(
  input: InputOf<typeof extract>,
  context: Pick<Context, 'files' | 'signal' | 'system'>,
): Promise<string[]> {
  await lookAtArchive(input, context);
  return unpackCommand(input.path, input.targetPath, input.compression, context.system.transfers);
}

async function lookAtArchive(
  { path, targetPath }: InputOf<typeof extract>,
  { files, signal }: Pick<Context, 'files' | 'signal'>,
): Promise<Pick<FileAttributes, 'sizeBytes'>> {
  const [archive, target] = await Promise.all([files.stat(path, { signal }), files.stat(targetPath, { signal })]);
  if (!isRegularFile(archive.mode)) throw new BrokerError('InvalidRequest', `tar: '${path}' is not a regular file`);
  if (!isDirectory(target.mode)) throw new BrokerError('InvalidRequest', `tar: '${targetPath}' is not a directory`);
  return archive;
}
