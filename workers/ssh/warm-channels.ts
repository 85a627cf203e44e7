/** The SFTP channels of one user that stay open between requests: one as a rule, more when one is slow to answer. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
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

export interface WarmChannels {
  /**
   * Runs `act` on a channel. `isRepeatable`: once more on another channel when the first one broke under it. Throws
   * what the pool throws, CommandTimeout when the deadline passed, SftpStatusError as it is.
   */
  use<T>(limits: RequestLimits, isRepeatable: boolean, act: (channel: SftpChannel) => Promise<T>): Promise<T>;
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

export function createWarmChannels(pool: ConnectionPool, username: string, options: WarmChannelOptions): WarmChannels {
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

  async function choose(limits: RequestLimits): Promise<Warm> {
    const open = [...channels].filter(({ sftp, isLeaving }) => sftp.isOpen && !isLeaving);
    open.sort((a, b) => a.sftp.pending - b.sftp.pending);
    const brisk = open.find(({ sftp }) => sftp.oldestPendingMs < slowMs);
    const chosen = brisk ?? (channels.size >= options.channelsMax ? open[0] : undefined);
    return chosen ?? (await beforeDeadline(openOne(), limits));
  }

  async function useOnce<T>(limits: RequestLimits, act: (channel: SftpChannel) => Promise<T>): Promise<T> {
    const warm = await choose(limits);
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
    async use(limits, isRepeatable, act) {
      for (let isRepeat = false; ; isRepeat = true) {
        try {
          return await useOnce(limits, act);
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

/** The channel is opened for all who wait, so one caller's deadline or abort must not end it for the others. */
function beforeDeadline<T>(work: Promise<T>, { deadlineAt, signal }: RequestLimits): Promise<T> {
  return new Promise((resolve, reject) => {
    const finish = (act: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      act();
    };
    const abort = () => finish(() => reject(signal?.reason));
    const timer = setTimeout(
      () => finish(() => reject(timedOut(new SftpDeadlineError('No channel in time')))),
      Math.max(1, deadlineAt - performance.now()),
    );
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    work.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) => finish(() => reject(error)),
    );
  });
}

function timedOut(cause: Error): BrokerError {
  return new BrokerError('CommandTimeout', 'The file system did not answer in time.', { cause });
}

/** Whether an error is the server's answer with this status. */
export function hasStatus(error: unknown, code: number): boolean {
  return error instanceof SftpStatusError && error.status === code;
}
