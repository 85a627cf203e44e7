/**
 * What the API processes must remember together of DPoP proofs (RFC 9449, sections 8 and 11.1): which were used, and which
 * nonces they gave out. Redis forgets both by itself. Neither is a secret.
 */
import { randomBytes } from 'node:crypto';
import { type Redis, withStore } from './redis.ts';

/** A nonce is given out so long, and counts until the one after it is over. */
export const nonceMs = 120_000;

/** Each method throws StoreUnavailable when Redis cannot serve. */
export interface ProofMemory {
  /** Remembers a proof for `keepMs`. False: it was remembered before, by whichever process. */
  remember(id: string, keepMs: number): Promise<boolean>;
  /** The nonce to give out now; one for all clients. */
  freshNonce(nowMs: number): Promise<string>;
  /** Whether a nonce was given out lately. */
  isKnownNonce(nonce: string, nowMs: number): Promise<boolean>;
}

export function createProofMemory(redis: Redis, keyPrefix: string): ProofMemory {
  const nonceKey = (turn: number): string => `${keyPrefix}:dpop:nonce:${turn}`;
  const turnOf = (nowMs: number): number => Math.floor(nowMs / nonceMs);
  return {
    remember: (id, keepMs) =>
      withStore(async () => (await redis.set(`${keyPrefix}:dpop:seen:${id}`, '', 'PX', keepMs, 'NX')) === 'OK'),
    freshNonce: (nowMs) =>
      withStore(async () => {
        const nonce = randomBytes(16).toString('base64url');
        const key = nonceKey(turnOf(nowMs));
        // The first process that asks in a turn makes it, the others find it there.
        const [, kept] = await Promise.all([redis.set(key, nonce, 'PX', 3 * nonceMs, 'NX'), redis.get(key)]);
        return kept ?? nonce;
      }),
    isKnownNonce: (nonce, nowMs) =>
      withStore(async () => {
        const turn = turnOf(nowMs);
        // The next one too: the clock of the process that gave it out may be ahead of ours.
        return (await redis.mget([turn - 1, turn, turn + 1].map(nonceKey))).includes(nonce);
      }),
  };
}
