/** Whether Redis answers. */
import type { Redis } from '../redis.ts';
import { type ReadAtScrape, reading } from './meter.ts';

/** An answer that comes later than this is none. */
const answerMsMax = 1_000;

/** Never rejects. A connection that is not ready is not asked: what waits for it would pile up. */
export function readRedisUp(redis: Pick<Redis, 'status' | 'ping'>): ReadAtScrape {
  return async () => {
    const isUp = redis.status === 'ready' && (await answersInTime(() => redis.ping()));
    return [reading('goldcrest_redis_up', {}, isUp ? 1 : 0)];
  };
}

async function answersInTime(ask: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), answerMsMax);
  });
  const answer = ask().then(
    () => true,
    () => false,
  );
  const isInTime = await Promise.race([answer, late]);
  clearTimeout(timer);
  return isInTime;
}
