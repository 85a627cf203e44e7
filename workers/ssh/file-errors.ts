/** Turns answers of an SFTP server into errors with the messages that coreutils would print. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { SftpStatusError } from './sftp-channel.ts';
import { status } from './sftp-wire.ts';

/**
 * SFTP version 3 folds ENOTDIR and ELOOP into "no such file" and everything without a code of its own into failure. OpenSSH
 * says "bad message" of names that are too long, and of what is not valid otherwise.
 */
const byStatus: ReadonlyMap<number, Reason> = new Map<number, Reason>([
  [status.noSuchFile, ['FileNotFound', 'No such file or directory']],
  [status.permissionDenied, ['PermissionDenied', 'Permission denied']],
  [status.badMessage, ['InvalidRequest', 'File name too long, or not valid there']],
  [status.unsupported, ['NotSupported', 'Operation not supported']],
]);

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
    const found = error.status === status.failure ? await look() : byStatus.get(error.status);
    const [code, reason] = found ?? ['RemoteCommandFailed', error.message];
    throw new BrokerError(code, `${said}: ${reason}`, { cause: error, detail: { status: error.status } });
  }
}

/** A path as text. */
export function text(path: string | Buffer): string {
  return typeof path === 'string' ? path : path.toString();
}

/** A path the way coreutils quotes it in the C locale. */
export function shown(path: string | Buffer): string {
  return `'${text(path)}'`;
}
