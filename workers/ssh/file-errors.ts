/** Turns answers of an SFTP server into errors with the messages that coreutils would print. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { SftpStatusError } from './sftp-channel.ts';
import { status } from './sftp-wire.ts';

/**
 * SFTP version 3 folds ENOTDIR and ELOOP into "no such file" and everything without a code of its own into failure. OpenSSH
 * says "bad message" for ENAMETOOLONG and EINVAL alike.
 */
const byStatus: ReadonlyMap<number, Reason> = new Map<number, Reason>([
  [status.noSuchFile, ['FileNotFound', 'No such file or directory']],
  [status.permissionDenied, ['PermissionDenied', 'Permission denied']],
  [status.unsupported, ['NotSupported', 'Operation not supported']],
]);

/** Of one name, with Linux's file systems; some take less. */
const nameBytesMax = 255;

/** A code and what coreutils would say. */
export type Reason = readonly [ErrorCode, string];

/**
 * Rejections with an SFTP status become BrokerErrors whose message begins with `said`. `look` may find the reason of what
 * the server calls a failure only; null: it did not.
 */
export async function explained<T>(
  said: string,
  work: Promise<T>,
  look: () => Promise<Reason | null> = async () => null,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    const found = error.status === status.failure ? await look() : reasonOf(error.status, said);
    const [code, reason] = found ?? ['RemoteCommandFailed', error.message];
    throw new BrokerError(code, `${said}: ${reason}`, { cause: error, detail: { status: error.status } });
  }
}

/** `said` holds the path as it was sent. */
function reasonOf(code: number, said: string): Reason | undefined {
  if (code !== status.badMessage) return byStatus.get(code);
  const isTooLong = said.split('/').some((name) => Buffer.byteLength(name) > nameBytesMax);
  return isTooLong ? ['InvalidRequest', 'File name too long'] : undefined;
}

/** A path as text. */
export function text(path: string | Buffer): string {
  return typeof path === 'string' ? path : path.toString();
}

/** A path the way coreutils quotes it in the C locale. */
export function shown(path: string | Buffer): string {
  return `'${text(path)}'`;
}
