/**
 * Why a file cannot be written to. SFTP version 3 has one status, "Failure", for a full disk, a full quota and most else;
 * the cluster is asked to write, and says it in its own words.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { remoteFailure } from '../operations/remote-failure.ts';

/** Appends 4 MiB to the file, which was given up. Argument: the file. */
const tryProgram = 'dd if=/dev/zero of="$1" bs=65536 count=64 oflag=append conv=notrunc,fsync';

/** The error to throw in the place of what writing to the partial file threw; that one where nothing more is known. */
export async function explainWrite(
  error: unknown,
  partPath: string,
  { shell, signal }: Pick<OperationContext, 'shell' | 'signal'>,
): Promise<unknown> {
  const isUnexplained = error instanceof BrokerError && error.code === 'RemoteCommandFailed';
  if (!isUnexplained || signal.aborted) return error;
  const tried = await shell.run(['sh', '-c', tryProgram, 'sh', partPath], { signal }).catch(() => null);
  return tried === null || tried.exitCode === 0 ? error : remoteFailure('transfer', tried);
}
