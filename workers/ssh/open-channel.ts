/** Opens one channel on one connection, and tells a server without room from a connection that broke. */
import type { ClientChannel } from 'ssh2';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Connection } from './connection.ts';

/** What a channel is opened for. */
export type ChannelPurpose = { readonly exec: string } | { readonly subsystem: 'sftp' };

/** How the remote process ended. */
export interface ChannelExit {
  readonly code: number | undefined;
  /** Without `SIG`. */
  readonly signalName: string | undefined;
}

/** `refused`: the server had no room. `lost`: nothing was sent, another connection may do. `failed`: do not repeat. */
export type OpenedChannel =
  | { readonly stream: ClientChannel; readonly exit: () => ChannelExit | undefined }
  | { readonly outcome: 'refused' | 'lost' | 'failed'; readonly error: Error };

/** Never rejects. */
export function openChannelOn(connection: Connection, purpose: ChannelPurpose): Promise<OpenedChannel> {
  return new Promise((resolve) => {
    const { client } = connection;
    // ssh2 answers the callback after its close event; should it forget to, this does.
    const broken = () => setImmediate(() => resolve({ outcome: 'failed', error: connectionLost({ sent: true }) }));
    const opened = (error: Error | undefined, stream: ClientChannel) => {
      client.removeListener('close', broken);
      resolve(error ? refusal(connection, purpose, error) : { stream, exit: rememberExit(stream) });
    };
    client.once('close', broken);
    try {
      if ('exec' in purpose) client.exec(purpose.exec, opened);
      else client.subsys(purpose.subsystem, opened);
    } catch (error) {
      client.removeListener('close', broken); // ssh2 throws at once when its socket is gone
      connection.retire();
      resolve({ outcome: 'lost', error: error as Error });
    }
  });
}

/** A short command's exit can come in the same packet as the answer to exec, before whoever awaits us can listen. */
function rememberExit(stream: ClientChannel): () => ChannelExit | undefined {
  let exit: ChannelExit | undefined;
  stream.once('exit', (code: number | null, signalName?: string) => {
    exit = { code: code ?? undefined, signalName: signalName?.replace(/^SIG/, '') };
  });
  return () => exit;
}

function refusal(connection: Connection, purpose: ChannelPurpose, error: Error & { reason?: unknown }): OpenedChannel {
  if (error.reason !== undefined) return { outcome: 'refused', error };
  if (connection.isClosed) {
    // What ssh2 says of a channel that was never opened: the command had not been sent. A subsystem does no harm twice.
    const wasNotSent = error.message === 'No response from server' || 'subsystem' in purpose;
    return wasNotSent
      ? { outcome: 'lost', error }
      : { outcome: 'failed', error: connectionLost({ sent: true }, error) };
  }
  const refused =
    'subsystem' in purpose
      ? new BrokerError('NotSupported', 'The login node offers no SFTP.', { cause: error })
      : new BrokerError('SshUnavailable', 'The login node refused to run a command.', {
          cause: error,
          detail: { sent: false },
        });
  return { outcome: 'failed', error: refused };
}

/** `sent`: whether the command may have started. */
export function connectionLost(detail: { sent: boolean }, cause?: unknown): BrokerError {
  return new BrokerError('SshUnavailable', 'SSH connection lost before the command ended.', { cause, detail });
}
