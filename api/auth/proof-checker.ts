/** Whether a DPoP proof is right, fresh and used once (RFC 9449, sections 4.3, 8 and 11.1). */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { nonceMs, type ProofMemory } from '../../shared/platform/proof-memory.ts';
import { readProof, type SentProof } from './dpop-proof.ts';

/** How far the time of a proof may be from ours, before and after, where no nonce tells its age. */
const windowMs = 60_000;
/** How far the clocks of API processes may be apart: a proof is remembered so much longer than it would be taken. */
const clocksApartMs = 10_000;

export interface ProofWish {
  token: string;
  /** SHA-256 thumbprint of the key that the token is bound to (RFC 7638). */
  keyThumbprint: string;
  /** Whether a proof must carry a nonce of ours; its age then counts, and the client's clock does not. */
  isNonceRequired: boolean;
}

/** Throws ProofInvalid, ProofNonceRequired, TokenInvalid (another key), StoreUnavailable. Safe to call concurrently. */
export type ProofChecker = (sent: SentProof, wish: ProofWish) => Promise<void>;

export function createProofChecker(memory: ProofMemory, now: () => number = Date.now): ProofChecker {
  const requireNonce = async (nonce: string | undefined, sent: SentProof, nowMs: number): Promise<void> => {
    const [fresh, isKnown] = await Promise.all([
      memory.freshNonce(nowMs),
      nonce === undefined ? false : memory.isKnownNonce(nonce, nowMs),
    ]);
    // With a good answer too, so that the client changes over before the old one is over.
    if (nonce !== fresh) sent.tellNonce(fresh);
    if (!isKnown) throw new BrokerError('ProofNonceRequired', 'DPoP proof: it must carry the nonce of this answer.');
  };
  return async (sent, { token, keyThumbprint, isNonceRequired }) => {
    const nowMs = now();
    const { id, issuedAtMs, nonce } = await readProof(sent, { token, keyThumbprint, nowMs });
    if (isNonceRequired) await requireNonce(nonce, sent, nowMs);
    else if (Math.abs(nowMs - issuedAtMs) > windowMs) {
      throw new BrokerError(
        'ProofInvalid',
        `DPoP proof: its \`iat\` is more than ${windowMs / 1_000} s from the time here; set the clock, and sign a proof for each request.`,
      );
    }
    // Remembered for as long as it would be taken.
    const keepMs = isNonceRequired ? 3 * nonceMs : issuedAtMs + windowMs - nowMs + clocksApartMs;
    if (!(await memory.remember(id, Math.ceil(keepMs)))) {
      throw new BrokerError('ProofInvalid', 'DPoP proof: it was used before; sign a new one for each request.');
    }
  };
}
