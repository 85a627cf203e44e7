/** DPoP proofs (RFC 9449) as a client makes them: one key for its tokens, and a new proof for each request. */
import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

export interface ProofKey {
  alg: string;
  privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
  /** The public key, as proofs carry it. */
  jwk: JWK;
  /** What `cnf.jkt` of a token says that is bound to it. */
  thumbprint: string;
}

export interface ProofOptions {
  method: string;
  /** Of the request, without query and fragment. */
  url: string;
  /** The access token that goes along; none at the token endpoint. */
  token?: string;
  nonce?: string;
  /** Put over what the proof would say. */
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
}

export async function createProofKey(alg = 'ES256'): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { alg, privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk) };
}

export function signProof(key: ProofKey, options: ProofOptions): Promise<string> {
  const { method, url, token, nonce, claims, header } = options;
  const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') };
  const said = { jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1_000), ...ath };
  return new SignJWT({ ...said, ...(nonce === undefined ? {} : { nonce }), ...claims })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk, ...header })
    .sign(key.privateKey);
}
