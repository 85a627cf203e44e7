/**
 * A fresh ed25519 key, never written anywhere. Made with Node's own crypto: `generateKeyPairSync` of ssh2 1.17.0 drops
 * leading zero bytes of the public key, so that one key in 256 cannot be read.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { sshString, uint32 } from '../ssh-wire.ts';
import { parsePrivateKey } from './private-key.ts';

const type = 'ssh-ed25519';
/** The private part is padded to the block size of the cipher; `none` has 8 bytes. */
const blockBytes = 8;

export function createKey(): ParsedKey {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new TypeError('a new ed25519 key has no parts');
  return parsePrivateKey(openSshText(Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')), undefined, 'a new key');
}

/** The private key file of OpenSSH (its PROTOCOL.key), not encrypted. `publicKey` and `seed` have 32 bytes each. */
export function openSshText(publicKey: Buffer, seed: Buffer): string {
  const checkNumber = randomBytes(4);
  const secret = Buffer.concat([
    ...[checkNumber, checkNumber],
    ...[sshString(type), sshString(publicKey), sshString(Buffer.concat([seed, publicKey])), sshString('')],
  ]);
  const paddingBytes = -secret.length & (blockBytes - 1);
  const padding = Buffer.from(Array.from({ length: paddingBytes }, (_, at) => at + 1));
  const file = Buffer.concat([
    ...[Buffer.from('openssh-key-v1\0'), sshString('none'), sshString('none'), sshString(''), uint32(1)],
    ...[sshString(Buffer.concat([sshString(type), sshString(publicKey)])), sshString(Buffer.concat([secret, padding]))],
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}
