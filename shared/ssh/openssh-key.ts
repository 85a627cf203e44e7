/** The private key file of OpenSSH (its PROTOCOL.key): writes new ed25519 keys, and reads the public half of any. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readWire, sshString, uint32 } from './wire.ts';

const type = 'ssh-ed25519';
const magic = 'openssh-key-v1\0';
const [head, foot] = ['-----BEGIN OPENSSH PRIVATE KEY-----', '-----END OPENSSH PRIVATE KEY-----'];
/** The private part is padded to the block size of the cipher; `none` has 8 bytes. */
const blockBytes = 8;

/** The text of a fresh ed25519 key, not encrypted. */
export function newPrivateKeyText(comment = ''): string {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new TypeError('a new ed25519 key has no parts');
  return privateKeyText(Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url'), comment);
}

/** An ed25519 key, not encrypted. `publicKey` and `seed` have 32 bytes each. */
export function privateKeyText(publicKey: Buffer, seed: Buffer, comment = ''): string {
  const checkNumber = randomBytes(4);
  const secret = Buffer.concat([
    ...[checkNumber, checkNumber],
    ...[sshString(type), sshString(publicKey), sshString(Buffer.concat([seed, publicKey])), sshString(comment)],
  ]);
  const paddingBytes = -secret.length & (blockBytes - 1);
  const padding = Buffer.from(Array.from({ length: paddingBytes }, (_, at) => at + 1));
  const file = Buffer.concat([
    ...[Buffer.from(magic), sshString('none'), sshString('none'), sshString(''), uint32(1)],
    ...[sshString(Buffer.concat([sshString(type), sshString(publicKey)])), sshString(Buffer.concat([secret, padding]))],
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return [head, ...lines, foot, ''].join('\n');
}

/** The line of a `.pub` file, without its comment; the public half is not encrypted. Throws Error where the text is no such key. */
export function publicKeyLineOf(privateKey: string): string {
  const text = privateKey.trim();
  if (!text.startsWith(head) || !text.endsWith(foot)) throw new Error('it is not in the format of OpenSSH');
  const file = Buffer.from(text.slice(head.length, -foot.length), 'base64');
  if (file.subarray(0, magic.length).toString('latin1') !== magic) throw new Error('it is damaged');
  const reader = readWire(file, magic.length);
  for (const _ of ['cipher', 'key derivation', 'its options']) reader.string();
  if (reader.uint32() !== 1) throw new Error('it does not hold one key');
  const key = reader.string();
  return `${readWire(key).string().toString('latin1')} ${key.toString('base64')}`;
}
