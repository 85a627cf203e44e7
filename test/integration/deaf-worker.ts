/**
 * A fake of a worker whose ear is lost: it says that it takes entries, listens on its channel, and does nothing with what comes.
 * A real one is so for the moments between the loss of its connection, or its death, and Redis's noticing it.
 */
import { randomUUID } from 'node:crypto';
import { handChannel, takerMessage, takersChannel } from '../../shared/platform/hand-over.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { silent } from './task-fixture.ts';

export interface DeafWorker {
  worker: string;
  token: string;
  /** What it was told, and did not hear. */
  messages: string[];
  /** Says that it takes entries. */
  tell(): Promise<unknown>;
  /** Leaves its channel; what was said of it stands. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export interface DeafWorkerOptions {
  redisUrl: string;
  redis: Redis;
  keyPrefix: string;
  queues: readonly string[];
  lockMs?: number;
  activeMax?: number;
}

export async function startDeafWorker(options: DeafWorkerOptions): Promise<DeafWorker> {
  const { redisUrl, redis, keyPrefix, queues, lockMs = 10_000, activeMax = 8 } = options;
  const worker = `deaf-${randomUUID()}`;
  const token = `${worker}:0`;
  const channel = handChannel(keyPrefix, worker);
  const ear = connectRedis(redisUrl, 'persist', silent);
  const messages: string[] = [];
  ear.on('message', (_channel, message: string) => messages.push(message));
  await ear.subscribe(channel);
  const of = Object.fromEntries(queues.map((queue) => [queue, { token, activeMax }]));
  return {
    ...{ worker, token, messages },
    tell: () => redis.publish(takersChannel(keyPrefix), takerMessage({ worker, lockMs, queues: of })),
    async leave() {
      await ear.unsubscribe(channel);
    },
    async close() {
      ear.disconnect();
    },
  };
}
