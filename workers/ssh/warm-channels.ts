/** The SFTP channels of one user that stay open between requests: one as a rule, more when one is slow to answer. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { beforeAbort } from './before-abort.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { connectionLost } from './open-channel.ts';
import {
  type RequestLimits,
  type SftpChannel,
  SftpChannelLost,
  SftpDeadlineError,
  SftpStatusError,
  startSftp,
} from './sftp-channel.ts';

export interface WarmChannelOptions {
  readonly channelsMax: number;
  readonly idleTimeoutMs: number;
  /** Longest a new channel may take to answer; nobody's own deadline, since all who wait share it. */
  readonly openTimeoutMs: number;
  /** Counts channels lost to a deadline. */
  readonly onDropped: () => void;
}

export interface CallLimits {
  /** From when there is a channel; waiting for a login and for a slot has bounds of its own. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type SftpAct<T> = (channel: SftpChannel, limits: RequestLimits) => Promise<T>;

export interface WarmChannels {
  /**
   * Runs `act` on a channel. `isRepeatable`: once more on another channel when the first one broke under it. Throws
   * what the pool throws, CommandTimeout when the deadline passed, SftpStatusError as it is.
   */
  use<T>(call: CallLimits, isRepeatable: boolean, act: SftpAct<T>): Promise<T>;
  /** Channels open now. */
  readonly open: number;
}

/** A channel whose oldest request waits longer than this is thought to hang; others go elsewhere meanwhile. */
const slowMs = 500;

/** A channel and the operations, each of several requests, that are using it. */
interface Warm {
  readonly sftp: SftpChannel;
  readonly park: (isParked: boolean) => void;
  readonly idle: NodeJS.Timeout;
  users: number;
  /** Takes no more operations and is closed after the last one. */
  isLeaving: boolean;
}

export function createWarmChannels(
  pool: Pick<ConnectionPool, 'open'>,
  username: string,
  options: WarmChannelOptions,
): WarmChannels {
  const channels = new Set<Warm>();
  let opening: Promise<Warm> | undefined;

  async function openChannel(): Promise<Warm> {
    const lent = await pool.open(username, { subsystem: 'sftp' });
    let warm: Warm | undefined;
    const forget = lent.connection.whenRetired(() => warm && leave(warm));
    const limits = { deadlineAt: performance.now() + options.openTimeoutMs };
    const sftp = await startSftp(lent, limits, (wasStuck) => {
      forget();
      if (warm) channels.delete(warm);
      if (wasStuck) options.onDropped();
    }).catch((cause: unknown) => {
      lent.release();
      throw connectionLost({ sent: false }, cause);
    });
    const opened: Warm = { sftp, park: lent.park, idle: idleTimer(() => leave(opened)), users: 0, isLeaving: false };
    warm = opened;
    channels.add(warm);
    lent.park(true);
    if (!lent.connection.isUsable) leave(warm);
    return warm;
  }

  function idleTimer(close: () => void): NodeJS.Timeout {
    return setTimeout(close, options.idleTimeoutMs).unref();
  }

  function leave(warm: Warm): void {
    warm.isLeaving = true;
    if (warm.users > 0) return;
    clearTimeout(warm.idle);
    warm.sftp.close();
  }

  function openOne(): Promise<Warm> {
    opening ??= openChannel().finally(() => {
      opening = undefined;
    });
    return opening;
  }

  async function choose(signal: AbortSignal | undefined): Promise<Warm> {
    const open = [...channels].filter(({ sftp, isLeaving }) => sftp.isOpen && !isLeaving);
    open.sort((a, b) => a.sftp.pending - b.sftp.pending);
    const brisk = open.find(({ sftp }) => sftp.oldestPendingMs < slowMs);
    const chosen = brisk ?? (channels.size >= options.channelsMax ? open[0] : undefined);
    return chosen ?? (await beforeAbort(openOne(), signal));
  }

  async function useOnce<T>(signal: AbortSignal | undefined, act: (channel: SftpChannel) => Promise<T>): Promise<T> {
    const warm = await choose(signal);
    warm.users += 1;
    warm.park(false);
    try {
      return await act(warm.sftp);
    } finally {
      warm.users -= 1;
      warm.idle.refresh();
      if (warm.users === 0) warm.park(true);
      if (warm.isLeaving) leave(warm);
    }
  }

  return {
    async use<T>({ timeoutMs, signal }: CallLimits, isRepeatable: boolean, act: SftpAct<T>) {
      let limits: RequestLimits | undefined;
      const actInTime = (channel: SftpChannel): Promise<T> => {
        limits ??= { deadlineAt: performance.now() + timeoutMs, signal };
        return act(channel, limits);
      };
      for (let isRepeat = false; ; isRepeat = true) {
        try {
          return await useOnce(signal, actInTime);
        } catch (error) {
          if (error instanceof SftpDeadlineError) throw timedOut(error);
          if (!(error instanceof SftpChannelLost)) throw error;
          if (!isRepeatable || isRepeat) throw connectionLost({ sent: true }, error);
        }
      }
    },
    get open() {
      return channels.size;
    },
  };
}

function timedOut(cause: Error): BrokerError {
  return new BrokerError('CommandTimeout', 'The file system did not answer in time.', { cause });
}

/** Whether an error is the server's answer with this status. */
export function hasStatus(error: unknown, code: number): boolean {
  return error instanceof SftpStatusError && error.status === code;
}
