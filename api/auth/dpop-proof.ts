/**
 * Reads a DPoP proof (RFC 9449, section 4.3): a JWT that the client signs for one request, with the key that its access
 * token is bound to. What needs a memory, whether it was seen before and whether its nonce is ours, is asked elsewhere.
 */
import { hash } from 'node:crypto';
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, type JWK, type JWTPayload, jwtVerify } from 'jose';
import { z } from 'zod';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { normaliseTarget } from './proof-target.ts';

/** Signature algorithms of proofs, all asymmetric; told to clients in challenges and in the metadata. */
export const proofAlgorithms: readonly string[] = [
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
  ...['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'],
];

/** What came with an access token under the DPoP scheme. */
export interface SentProof {
  /** The DPoP header; several of them come joined by commas, and such a text is no JWT. */
  proof: string | undefined;
  method: string;
  /** The normalised address that the proof must name; null where the request's has no such form. */
  target: string | null;
  /** Called with a nonce that the answer must carry. */
  tellNonce: (nonce: string) => void;
}

export interface ReadProof {
  /** Of the proof, among those of all keys. */
  id: string;
  issuedAtMs: number;
  nonce: string | undefined;
}

/** Longest proof, characters: enough for an RSA key of 8,192 bits. */
const proofCharsMax = 4_096;

const proofClaims = z.looseObject({
  jti: z.string().min(1),
  htm: z.string(),
  htu: z.string(),
  iat: z.number().finite(),
  ath: z.string(),
  nonce: z.string().optional(),
});

function refuse(message: string, cause?: unknown): BrokerError {
  return new BrokerError('ProofInvalid', `DPoP proof: ${message}`, { cause });
}

function headerOf(proof: string): { alg: string; jwk: JWK } {
  let header: ReturnType<typeof decodeProtectedHeader>;
  if (proof.includes(',')) throw refuse('one header with one signed JWT is needed.');
  try {
    header = decodeProtectedHeader(proof);
  } catch (error) {
    throw refuse('one header with one signed JWT is needed.', error);
  }
  const { typ, alg, jwk } = header;
  if (typ !== 'dpop+jwt') throw refuse('its `typ` must be dpop+jwt.');
  if (alg === undefined || !proofAlgorithms.includes(alg)) {
    throw refuse(`its \`alg\` must be one of ${proofAlgorithms.join(', ')}.`);
  }
  if (typeof jwk !== 'object' || jwk === null) throw refuse('its header must carry the public key, `jwk`.');
  return { alg, jwk };
}

async function thumbprintOf(jwk: JWK): Promise<string> {
  try {
    return await calculateJwkThumbprint(jwk, 'sha256');
  } catch (error) {
    throw refuse('its `jwk` is no public key.', error);
  }
}

async function verify(proof: string, alg: string, nowMs: number): Promise<JWTPayload> {
  try {
    // EmbeddedJWK refuses private and symmetric keys.
    const options = { typ: 'dpop+jwt', algorithms: [alg], currentDate: new Date(nowMs) };
    return (await jwtVerify(proof, EmbeddedJWK, options)).payload;
  } catch (error) {
    throw refuse('its signature does not fit its `jwk`, a public key, or its times are over.', error);
  }
}

/**
 * What a proof says, once its signature, key, method, address and access token are found right. `keyThumbprint` is that
 * of the key the token is bound to, and compared before anything is verified: no other key is worth the work. Throws
 * TokenInvalid where the key is another one, else ProofInvalid.
 */
export async function readProof(
  sent: SentProof,
  { token, keyThumbprint, nowMs }: { token: string; keyThumbprint: string; nowMs: number },
): Promise<ReadProof> {
  const { proof, method, target } = sent;
  if (proof === undefined || proof === '') throw refuse('the DPoP header is missing.');
  if (proof.length > proofCharsMax) throw refuse(`it is longer than ${proofCharsMax} characters.`);
  const { alg, jwk } = headerOf(proof);
  if ((await thumbprintOf(jwk)) !== keyThumbprint) {
    throw new BrokerError('TokenInvalid', 'The access token is bound to another key than that of the DPoP proof.');
  }
  const parsed = proofClaims.safeParse(await verify(proof, alg, nowMs));
  if (!parsed.success) throw refuse('it must carry jti, htm, htu, iat and ath.');
  const { htm, htu, iat, jti, ath, nonce } = parsed.data;
  if (htm !== method) throw refuse('its `htm` is not the method of the request.');
  if (target === null || normaliseTarget(htu) !== target) {
    throw refuse('its `htu` is not the address of the request, as this service is called from outside.');
  }
  if (ath !== hash('sha256', token, 'base64url')) throw refuse('its `ath` is not the hash of the access token.');
  const id = hash('sha256', `${keyThumbprint} ${jti}`, 'base64url');
  return { id, issuedAtMs: iat * 1_000, nonce };
}
