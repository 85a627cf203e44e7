/** Bounds SSH handshakes to a host across all workers, by leases in Redis, so that sshd's MaxStartups does not drop them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '../../shared/platform/redis.ts';
import type { HandshakeLimiter } from '../ssh/handshake-limiter.ts';
import { type ConcurrencyGate, createGate } from './concurrency-gate.ts';

/** sshd's default MaxStartups begins to drop at 10. */
const handshakesPerHostMax = 8;
/** A lease outlives its worker by so much at most; longer than any handshake may take. */
const leaseMs = 20_000;
const retryMs = 25;

/** KEYS: the host's leases. ARGV: now, bound, lease ms, token. Returns 1 when the lease was given. */
const acquireScript = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], tonumber(ARGV[1]) + tonumber(ARGV[3]), ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;

interface ScriptedRedis {
  gcHandshake(...args: (string | number)[]): Promise<number>;
}

export function createHandshakeLease(redis: Redis, keyPrefix: string): HandshakeLimiter {
  redis.defineCommand('gcHandshake', { numberOfKeys: 1, lua: acquireScript });
  const scripted = redis as unknown as ScriptedRedis;
  /**
   * One a host. Those who wait in this process take turns, so that only the first of them asks Redis: it is asked less,
   * and nobody is passed over until their operation has run out of time.
   */
  const turns = new Map<string, ConcurrencyGate>();

  const turnsOf = (hostKey: string): ConcurrencyGate => {
    const known = turns.get(hostKey) ?? createGate(1);
    turns.set(hostKey, known);
    return known;
  };

  const lease = async (key: string, token: string, signal: AbortSignal): Promise<void> => {
    for (;;) {
      signal.throwIfAborted();
      const given = await scripted.gcHandshake(key, Date.now(), handshakesPerHostMax, leaseMs, token);
      if (given === 1) return;
      await sleep(retryMs * (0.5 + Math.random()), undefined, { signal });
    }
  };

  return {
    async acquire(hostKey, signal) {
      const key = `${keyPrefix}:handshakes:${hostKey}`;
      const token = randomUUID();
      await turnsOf(hostKey)(() => lease(key, token, signal));
      let isReleased = false;
      return () => {
        if (isReleased) return;
        isReleased = true;
        redis.zrem(key, token).catch(() => undefined); // the lease ends by itself
      };
    },
  };
}
