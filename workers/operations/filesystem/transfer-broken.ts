/** Faults that the broker repeats by itself where nothing has happened yet, and cannot repeat once bytes are under way. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../../shared/errors/catalogue.ts';
import { SftpChannelLost } from '../../ssh/sftp-channel.ts';

const connectionFaults: ReadonlySet<ErrorCode> = new Set(['SshUnavailable', 'SshNoChannel']);

/** As `work`, with TransferBroken in place of a fault that would make the task run again. */
export async function hidingRetries<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    // Within the work on an open file, the loss of its channel has no code yet.
    const isFault =
      error instanceof SftpChannelLost || (error instanceof BrokerError && connectionFaults.has(error.code));
    if (!isFault) throw error;
    throw new BrokerError('TransferBroken', 'The connection to the login node broke in the middle of a transfer.', {
      cause: error,
    });
  }
}
