/** An issuer of a test's own, for tokens of people (the lab's are those of programs) and of any life. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export interface PersonIssuer {
  /** An entry of `goldcrest.issuers`. */
  settings: Record<string, unknown>;
  sign(username: string, lifeSeconds: number): Promise<string>;
}

/** `folder`: where its keys are published. */
export async function createPersonIssuer(folder: string, name: string): Promise<PersonIssuer> {
  const issuer = `https://${name}.test`;
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwksFile = join(folder, `${name}.jwks.json`);
  writeFileSync(jwksFile, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'RS256' }] }));
  const keys = [pathToFileURL(jwksFile).href];
  return {
    settings: { issuer, audiences: ['here'], jwks_urls: keys, minimum_life: '0s', clock_skew: '0s' },
    sign: (username, lifeSeconds) =>
      new SignJWT({ iss: issuer, aud: 'here', sub: `person-${username}`, preferred_username: username })
        .setProtectedHeader({ alg: 'RS256', kid: 'k' })
        .setExpirationTime(Math.floor(Date.now() / 1_000) + lifeSeconds)
        .sign(privateKey),
  };
}
