/**
 * Whether Redis has room for more tasks. It never evicts, so what is accepted when it is nearly full could not be ended:
 * the last part of its memory is kept for the tasks that are in it.
 */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Redis } from '../../shared/platform/redis.ts';

/** Share of `maxmemory` that may be used when a task is accepted; of the machine's memory where there is no `maxmemory`. */
const shareOfLimit = 0.85;
const shareOfMachine = 0.75;

const lookEveryMs = 1_000;
const retryAfterSeconds = 10;

export interface StoreMemory {
  usedBytes: number;
  /** From here on no task is taken. */
  acceptBytesMax: number;
}

export interface StoreRoom {
  /** Throws StoreFull when the last look found too little room. A look that failed says nothing. */
  check(): void;
  /** What the last look found; null before the first, and where the last one failed. */
  memory(): StoreMemory | null;
  close(): void;
}

/** What `INFO memory` says: bytes in use, and how many may be for a task to be accepted. */
export function readMemory(info: string): StoreMemory {
  const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? Number.NaN);
  const limit = field('maxmemory');
  const acceptBytesMax = limit > 0 ? limit * shareOfLimit : field('total_system_memory') * shareOfMachine;
  return { usedBytes: field('used_memory'), acceptBytesMax };
}

/** Looks at Redis each second until it is closed. */
export function watchStoreRoom(redis: Redis, log: Logger): StoreRoom {
  let refusal: string | null = null;
  let memory: StoreMemory | null = null;
  const look = async (): Promise<void> => {
    memory = readMemory(await redis.info('memory'));
    const { usedBytes, acceptBytesMax } = memory;
    const isFull = usedBytes >= acceptBytesMax;
    if (isFull !== (refusal !== null)) log.warn({ isFull, usedBytes, acceptBytesMax }, 'room in Redis');
    refusal = isFull
      ? `The task store holds ${usedBytes} bytes; from ${Math.round(acceptBytesMax)} on it takes no task.`
      : null;
  };
  const forget = (): void => {
    memory = null;
  };
  const timer = setInterval(() => void look().catch(forget), lookEveryMs);
  timer.unref();
  return {
    check() {
      if (refusal !== null) throw new BrokerError('StoreFull', refusal, { retryAfterSeconds });
    },
    memory: () => memory,
    close: () => clearInterval(timer),
  };
}
