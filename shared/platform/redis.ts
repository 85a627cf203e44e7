/**
 * Connections to Redis and the check that it keeps what it accepts: an append-only file synced before each answer, and
 * no eviction. Without these, "accepted" would not be true after a crash.
 */
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { BrokerError } from '../errors/broker-error.ts';
import { type Meter, silentMeter } from './metrics/meter.ts';

export type { Redis } from 'ioredis';

/**
 * `answer`: fails fast when Redis is away, for work that a client waits for. `persist`: waits for Redis to come back,
 * for workers whose results must not be lost, and for subscriptions.
 */
export type ConnectionPurpose = 'answer' | 'persist';

/** Milliseconds between attempts to reach a Redis that is away: quick at first, never slower than 1 s. */
function reconnectDelayMs(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 5), 1_000);
}

/**
 * Sends the commands of one turn of the event loop in one write, in order, so that Redis answers them with one fsync.
 * (ioredis's own auto-pipelining builds an object per turn that names every script, which costs more than it saves.)
 */
class TurnRedis extends Redis {
  #isCorked = false;

  override sendCommand(...args: Parameters<Redis['sendCommand']>): ReturnType<Redis['sendCommand']> {
    const { stream } = this;
    if (!this.#isCorked && this.status === 'ready') {
      this.#isCorked = true;
      stream.cork();
      setImmediate(() => {
        this.#isCorked = false;
        stream.uncork();
      });
    }
    return super.sendCommand(...args);
  }
}

/** A connection that reconnects for ever. Errors are logged once per outage, not once per attempt, but all are counted. */
export function connectRedis(url: string, purpose: ConnectionPurpose, log: Logger, meter: Meter = silentMeter): Redis {
  const failFast = purpose === 'answer';
  const redis = new TurnRedis(url, {
    maxRetriesPerRequest: failFast ? 0 : null,
    enableOfflineQueue: !failFast,
    // A server that accepts the connection and then hangs must not hold requests for ever.
    ...(failFast ? { commandTimeout: 5_000 } : {}),
    connectTimeout: 5_000,
    retryStrategy: reconnectDelayMs,
  });
  let isOut = false;
  let wasReady = false;
  meter.count('goldcrest_redis_errors_total', { purpose }, 0);
  meter.count('goldcrest_redis_reconnects_total', { purpose }, 0);
  redis.on('error', (error: Error) => {
    meter.count('goldcrest_redis_errors_total', { purpose });
    if (!isOut) log.error({ err: error, purpose }, 'Redis is away');
    isOut = true;
  });
  redis.on('ready', () => {
    if (isOut) log.info({ purpose }, 'Redis is back');
    if (wasReady) meter.count('goldcrest_redis_reconnects_total', { purpose });
    isOut = false;
    wasReady = true;
  });
  return redis;
}

const connectionFaults =
  /^(LOADING|READONLY|OOM|MISCONF|CLUSTERDOWN|NOREPLICAS|BUSY|NOAUTH|WRONGPASS|NOPERM)\b|Connection is closed|Stream isn't writeable|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|Command timed out|max retries per request/;

/** Whether an error means that Redis cannot serve just now, as opposed to a fault of ours. */
export function isStoreFault(error: unknown): boolean {
  return error instanceof Error && connectionFaults.test(error.message);
}

/** Runs work on Redis; a store that cannot serve becomes `StoreUnavailable`, other errors pass. */
export async function withStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isStoreFault(error)) throw error;
    throw new BrokerError('StoreUnavailable', 'The task store does not answer; accepted tasks are kept.', {
      cause: error,
      retryAfterSeconds: 2,
    });
  }
}

/** The settings that are wrong for keeping tasks, one readable sentence each; empty when all is well. */
export async function findDurabilityProblems(redis: Redis): Promise<string[]> {
  const settings = async (name: string): Promise<string> => {
    const [, value] = (await redis.config('GET', name)) as [string, string];
    return value ?? '';
  };
  const problems: string[] = [];
  if ((await settings('appendonly')) !== 'yes') problems.push('appendonly is not "yes": set `appendonly yes`');
  const sync = await settings('appendfsync');
  if (sync !== 'always') problems.push(`appendfsync is "${sync}": set \`appendfsync always\``);
  const policy = await settings('maxmemory-policy');
  if (policy !== 'noeviction') problems.push(`maxmemory-policy is "${policy}": set \`maxmemory-policy noeviction\``);
  return problems;
}
