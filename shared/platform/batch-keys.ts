/** The idempotency keys of batches. They stand beside those of tasks, so that no key is taken for both. */
import { BrokerError } from '../errors/broker-error.ts';
import { type Redis, withStore } from './redis.ts';

/** A batch's key is kept longer than any of its tasks may stay open. */
const batchKeyMs = 40 * 24 * 3_600_000;

export interface BatchKeys {
  /** Keeps what a batch's key was first used for. Throws `IdempotencyMismatch` when that was another batch or a task. */
  rememberBatch(owner: string, key: string, fingerprint: string): Promise<void>;
}

export function keyMismatch(): BrokerError {
  return new BrokerError('IdempotencyMismatch', 'This Idempotency-Key was used for a request with another payload.');
}

/** Over a connection, which stays the caller's to close. */
export function createBatchKeys(redis: Redis, keyPrefix: string, keepMs: number): BatchKeys {
  return {
    async rememberBatch(owner, key, fingerprint) {
      const idemKey = `${keyPrefix}:idem:${owner}:${key}`;
      const mine = `- batch:${fingerprint}`; // no task, and no task's fingerprint
      const known = await withStore(async () => {
        const isNew = (await redis.set(idemKey, mine, 'PX', batchKeyMs + keepMs, 'NX')) === 'OK';
        return isNew ? mine : await redis.get(idemKey);
      });
      if (known !== mine) throw keyMismatch();
    },
  };
}
