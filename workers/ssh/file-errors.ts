/** Turns answers of an SFTP server into errors with the messages that coreutils would print. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { SftpStatusError } from './sftp-channel.ts';
import { status } from './sftp-wire.ts';

/** SFTP version 3 folds ENOTDIR and ELOOP into "no such file" and everything without a code of its own into failure. */
const byStatus: ReadonlyMap<number, readonly [ErrorCode, string]> = new Map([
  [status.noSuchFile, ['FileNotFound', 'No such file or directory']],
  [status.permissionDenied, ['PermissionDenied', 'Permission denied']],
  [status.unsupported, ['NotSupported', 'Operation not supported']],
]);

/** Rejections with an SFTP status become BrokerErrors whose message begins with `said`. */
export async function explained<T>(said: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    const [code, reason] = byStatus.get(error.status) ?? ['RemoteCommandFailed', error.message];
    throw new BrokerError(code as ErrorCode, `${said}: ${reason}`, { cause: error, detail: { status: error.status } });
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
