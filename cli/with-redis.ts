/** Redis for one command of the program. */
import type { Config } from '../shared/platform/config/config.ts';
import { createLog } from '../shared/platform/log.ts';
import { connectRedis, type Redis } from '../shared/platform/redis.ts';

/** Rejects with what kept it from connecting. */
export async function withRedis<Result>(config: Config, work: (redis: Redis) => Promise<Result>): Promise<Result> {
  const redis = connectRedis(config.redis.url.reveal(), 'answer', createLog('silent', 'api'));
  try {
    await new Promise<void>((resolve, reject) => {
      redis.once('ready', () => resolve());
      redis.once('error', reject);
    });
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}
