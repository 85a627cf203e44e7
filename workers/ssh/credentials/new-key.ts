/**
 * A fresh ed25519 key, never written anywhere. Made with Node's own crypto: `generateKeyPairSync` of ssh2 1.17.0 drops
 * leading zero bytes of the public key, so that one key in 256 cannot be read.
 */
import type { ParsedKey } from 'ssh2';
import { newPrivateKeyText } from '../../../shared/ssh/openssh-key.ts';
import { parsePrivateKey } from './private-key.ts';

export function createKey(): ParsedKey {
  return parsePrivateKey(newPrivateKeyText(), undefined, 'a new key');
}
