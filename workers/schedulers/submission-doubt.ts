/** What a broken connection says of a submission: nothing, unless it broke before anything was sent. */
import { BrokerError } from '../../shared/errors/broker-error.ts';

/** Thrown by the ssh layer before it hands a command over. */
const neverSent: ReadonlySet<string> = new Set(['SshNoChannel', 'SshCredentialsRefused', 'HostKeyMismatch']);

/**
 * Rethrows an error of the ssh layer: as it is where the command cannot have started, else as SubmissionInDoubt. A
 * command line that is too long is InvalidJob, since the environment of the job is what makes it so.
 */
export function doubtUnlessUnsent(error: unknown): never {
  if (error instanceof BrokerError) {
    if (neverSent.has(error.code)) throw error;
    if (error.code === 'SshUnavailable' && error.detail.sent === false) throw error;
    if (error.code === 'InvalidRequest') throw tooLong(error);
  }
  const detail = error instanceof BrokerError ? { code: error.code, ...error.detail } : {};
  throw new BrokerError('SubmissionInDoubt', undefined, { cause: error, detail });
}

function tooLong(error: BrokerError): BrokerError {
  const message = `${error.message} Shorten the environment of the job; long values belong into a file.`;
  return new BrokerError('InvalidJob', message, { cause: error });
}
