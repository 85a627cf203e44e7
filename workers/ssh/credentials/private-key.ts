/** Reads private keys in any format that OpenSSH writes. */
import ssh2, { type ParsedKey } from 'ssh2';

/** Throws an Error that says what `what` is and why it cannot be used; never any part of the key. */
export function parsePrivateKey(text: string, passphrase: string | undefined, what: string): ParsedKey {
  const parsed = ssh2.utils.parseKey(text, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error) {
    throw new Error(`Cannot read ${what}: ${key?.message ?? 'it holds no key'}`);
  }
  if (!key.isPrivateKey()) throw new Error(`Cannot use ${what}: it is a public key`);
  return key;
}
