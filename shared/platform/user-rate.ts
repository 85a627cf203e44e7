/**
 * How many tasks a user may submit in a time: a token bucket, kept as the time at which it is full again (GCRA). The accept
 * script takes from it, so the limit holds over all API processes and costs no request to Redis of its own.
 */
import { BrokerError } from '../errors/broker-error.ts';
import type { Redis } from './redis.ts';

export interface RateLimit {
  /** Tasks a second, in the long run. */
  perSecond: number;
  /** Tasks at once, after a rest. */
  burst: number;
}

/** What is left of a limit. */
export interface RateState {
  limit: RateLimit;
  remaining: number;
  /** Seconds until all of it is there again. */
  resetSeconds: number;
}

/** Milliseconds in which one task comes back. */
export function intervalMs({ perSecond }: RateLimit): number {
  return 1_000 / perSecond;
}

/** Seconds in which an empty bucket fills: the window of the policy. */
export function windowSeconds({ perSecond, burst }: RateLimit): number {
  return Math.max(1, Math.ceil(burst / perSecond));
}

export function rateKey(keyPrefix: string, owner: string): string {
  return `${keyPrefix}:rate:${owner}`;
}

/** What is left, by how long it takes until the bucket is full. */
export function rateState(limit: RateLimit, untilFullMs: number): RateState {
  const missing = Math.ceil(untilFullMs / intervalMs(limit) - 1e-6);
  return { limit, remaining: Math.max(0, limit.burst - missing), resetSeconds: Math.ceil(untilFullMs / 1_000) };
}

/** What an owner has left; taking nothing. */
export async function readRate(redis: Redis, keyPrefix: string, owner: string, limit: RateLimit): Promise<RateState> {
  // The key lives as long as the bucket fills; by the clock of Redis, which is the one that counts.
  const untilFullMs = await redis.pttl(rateKey(keyPrefix, owner));
  return rateState(limit, Math.max(0, untilFullMs));
}

/** The refusal of a task that came too soon. */
export function tooFast(limit: RateLimit | null, waitMs: number, untilFullMs: number): RateLimitError {
  const known = limit ?? { perSecond: 1, burst: 1 };
  return new RateLimitError({ ...rateState(known, untilFullMs), remaining: 0 }, waitMs);
}

/** Tells what the limit is, for the headers of the answer. */
export class RateLimitError extends BrokerError {
  readonly rate: RateState;

  constructor(rate: RateState, waitMs: number) {
    const { perSecond, burst } = rate.limit;
    super('RateLimited', `You may submit ${perSecond} tasks a second, and ${burst} at once after a rest.`, {
      retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)),
    });
    this.rate = rate;
  }
}
