/**
 * Signatures of Standard Webhooks 1.0.0: over `id.timestamp.body`, `v1` by HMAC-SHA256 with a shared secret (`whsec_`),
 * `v1a` by ed25519 with a private key (`whsk_`) whose public half (`whpk_`) the receiver has.
 */
import { createHmac, createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto';

export type SigningScheme = 'v1' | 'v1a';

/** Bytes of a shared secret of ours; a caller's own may have 24 to 64. */
const secretBytes = 32;
const secretText = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/;
/** What comes before the 32 bytes of a private key in PKCS #8 (RFC 8410). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Whether a text is a shared secret as the standard has it: `whsec_` and base64 of 24 to 64 bytes. */
export function isSecret(text: string): boolean {
  const { length } = Buffer.from(text.slice('whsec_'.length), 'base64');
  return secretText.test(text) && length >= 24 && length <= 64;
}

/** A new key to sign with; of `v1` it is also what the receiver checks with. */
export function newSigningKey(scheme: SigningScheme): string {
  return `${scheme === 'v1' ? 'whsec_' : 'whsk_'}${randomBytes(secretBytes).toString('base64')}`;
}

function privateKeyOf(key: string) {
  const seed = Buffer.from(key.slice('whsk_'.length), 'base64');
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
}

/** The public half of a `whsk_` key, as `whpk_`. */
export function publicKeyOf(key: string): string {
  const spki = createPublicKey(privateKeyOf(key)).export({ format: 'der', type: 'spki' });
  return `whpk_${spki.subarray(-32).toString('base64')}`;
}

/** The header `webhook-signature`: one signature for each key, the newest first. `timestamp` is in seconds. */
export function signatureHeader(
  keys: readonly string[],
  message: { id: string; timestamp: number; body: string },
): string {
  const signed = Buffer.from(`${message.id}.${message.timestamp}.${message.body}`);
  return keys
    .map((key) =>
      key.startsWith('whsk_')
        ? `v1a,${sign(null, signed, privateKeyOf(key)).toString('base64')}`
        : `v1,${createHmac('sha256', Buffer.from(key.slice('whsec_'.length), 'base64'))
            .update(signed)
            .digest('base64')}`,
    )
    .join(' ');
}
