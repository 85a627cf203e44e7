/** Checksum of a regular file by the coreutils program of its algorithm, on the cluster. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { ChecksumAlgorithm, checksum } from '../../../shared/operations/filesystem/checksum.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { isRegularFile } from './mode-letters.ts';

/** Program and hexadecimal digits. */
const programs: Readonly<Record<ChecksumAlgorithm, readonly [string, number]>> = {
  MD5: ['md5sum', 32],
  SHA1: ['sha1sum', 40],
  SHA224: ['sha224sum', 56],
  SHA256: ['sha256sum', 64],
  SHA384: ['sha384sum', 96],
  SHA512: ['sha512sum', 128],
  BLAKE2B: ['b2sum', 128],
};

export async function handleChecksum(
  { path, algorithm }: InputOf<typeof checksum>,
  { files, shell, signal }: Pick<OperationContext, 'files' | 'shell' | 'signal'>,
): Promise<ResultOf<typeof checksum>> {
  const [program, digits] = programs[algorithm];
  const { mode } = await files.stat(path, { signal });
  // A FIFO would be waited for until the time is up.
  if (!isRegularFile(mode)) throw new BrokerError('InvalidRequest', `${program}: '${path}' is not a regular file`);
  const result = await shell.run([program, '--', path], { signal, usesCommandLoop: true });
  if (result.exitCode !== 0) throw remoteFailure(program, result);
  return { algorithm, checksum: parseChecksum(result.stdout.toString('latin1'), program, digits) };
}

/**
 * `b76a…bbc  /home/a` of coreutils 9.1, with a backslash in front where the name holds one or a line break, which are
 * escaped then. What a start-up file of the shell printed may stand before it, so the last line counts.
 */
export function parseChecksum(stdout: string, program: string, digits: number): string {
  const found = new RegExp(`(?:^|\n)\\\\?([0-9a-f]{${digits}}) [ *][^\n]*\n?$`).exec(stdout)?.[1];
  if (found !== undefined) return found;
  throw new BrokerError('RemoteCommandFailed', `The answer of ${program} was not understood.`, { detail: { stdout } });
}
