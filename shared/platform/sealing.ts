/**
 * Seals secrets for the store: AES-256-GCM under a key from the configuration, with the id of the key in front, so that
 * keys can be changed. The place a secret is for is authenticated with it: moved elsewhere it does not open.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { Secret } from './secret.ts';

export interface SealingKey {
  id: string;
  /** Base64 of 32 bytes. */
  key: Secret;
}

export interface Sealer {
  /** `place` is what the secret belongs to. */
  seal(text: string, place: string): string;
  /** Alike for the same text, place and key: for what is compared when it is sent again. */
  sealAlike(text: string, place: string): string;
  /** Throws where the key is not known, or the text was not sealed for that place. */
  open(sealed: string, place: string): string;
}

const nonceBytes = 12;
const tagBytes = 16;

/** The id of the key that sealed it. */
export function keyIdOf(sealed: string): string {
  return sealed.split('.')[0] ?? '';
}

/** The first key seals, all of them open. Null without a key: then there is nothing that may hold secrets. */
export function createSealer(keys: readonly SealingKey[]): Sealer | null {
  const [first] = keys;
  if (first === undefined) return null;
  const bytesOf = (key: SealingKey): Buffer => Buffer.from(key.key.reveal(), 'base64');
  const sealWith = (nonce: Buffer, text: string, place: string): string => {
    const cipher = createCipheriv('aes-256-gcm', bytesOf(first), nonce).setAAD(Buffer.from(place));
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${first.id}.${sealed.toString('base64url')}`;
  };
  return {
    seal: (text, place) => sealWith(randomBytes(nonceBytes), text, place),
    // A nonce must never come with two texts: it is made of the text.
    sealAlike(text, place) {
      const made = createHmac('sha256', bytesOf(first)).update(`${place}\0${text}`).digest();
      return sealWith(made.subarray(0, nonceBytes), text, place);
    },
    open(sealed, place) {
      const [id, text = ''] = sealed.split('.');
      const key = keys.find((candidate) => candidate.id === id);
      if (key === undefined) throw new Error(`the sealing key ${id} is not configured`);
      const bytes = Buffer.from(text, 'base64url');
      const cipher = createDecipheriv('aes-256-gcm', bytesOf(key), bytes.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      cipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(-tagBytes));
      return cipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + cipher.final('utf8');
    },
  };
}
