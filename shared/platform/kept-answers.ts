/**
 * Answers to requests that make no task, by their idempotency keys, sealed, since some hold secrets. The keys stand beside
 * those of tasks, so that no key is taken for both.
 */

import { BrokerError } from '../errors/broker-error.ts';
import { keyMismatch } from './batch-keys.ts';
import { type Meter, silentMeter } from './metrics/meter.ts';
import { type Redis, withStore } from './redis.ts';
import type { Sealer } from './sealing.ts';

/** A request whose process died without an answer may be made again after that. */
const unansweredMs = 60_000;
/** How long an answer is given again. */
const keptMs = 24 * 3_600_000;

/** Each method throws `StoreUnavailable` when Redis cannot serve. */
export interface KeptAnswers {
  /**
   * Takes the key for a request, or gives what it was answered with. `running`: the first request has no answer yet. Throws
   * `IdempotencyMismatch` when the key was used for another request, `TaskExpired` where its sealing key is gone.
   */
  begin(owner: string, key: string, fingerprint: string): Promise<'new' | 'running' | { answer: string }>;
  keep(owner: string, key: string, fingerprint: string, answer: string): Promise<void>;
  /** The request was refused: the key is free again. */
  forget(owner: string, key: string): Promise<void>;
}

/** Over a connection, which stays the caller's to close. */
export function createKeptAnswers(
  redis: Redis,
  keyPrefix: string,
  sealer: Sealer,
  meter: Meter = silentMeter,
): KeptAnswers {
  const idemKey = (owner: string, key: string): string => `${keyPrefix}:idem:${owner}:${key}`;
  const answerKey = (owner: string, key: string): string => `${keyPrefix}:answer:${owner}:${key}`;
  const mark = (fingerprint: string): string => `- answer:${fingerprint}`; // no task, and no task's fingerprint
  const placeOf = (owner: string, key: string): string => `answer ${owner} ${key}`;
  const open = (sealed: string, place: string): string => {
    try {
      return sealer.open(sealed, place);
    } catch (cause) {
      const message = 'The answer to the first request with this Idempotency-Key can no longer be opened.';
      throw new BrokerError('TaskExpired', message, { cause });
    }
  };
  return {
    async begin(owner, key, fingerprint) {
      const mine = mark(fingerprint);
      const [known, sealed] = await withStore(async () => {
        const isNew = (await redis.set(idemKey(owner, key), mine, 'PX', unansweredMs, 'NX')) === 'OK';
        return isNew ? [null, null] : redis.mget(idemKey(owner, key), answerKey(owner, key));
      });
      if (known === null) return 'new';
      if (known !== mine) throw keyMismatch();
      if (!sealed) return 'running';
      const answer = open(sealed, placeOf(owner, key));
      meter.count('goldcrest_idempotent_replays_total', {});
      return { answer };
    },
    keep: (owner, key, fingerprint, answer) =>
      withStore(async () => {
        const sealed = sealer.seal(answer, placeOf(owner, key));
        const both = redis.multi().set(answerKey(owner, key), sealed, 'PX', keptMs);
        await both.set(idemKey(owner, key), mark(fingerprint), 'PX', keptMs).exec();
      }),
    forget: (owner, key) =>
      withStore(async () => {
        await redis.del(idemKey(owner, key));
      }),
  };
}
