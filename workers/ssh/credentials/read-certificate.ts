/** Reads the facts of an OpenSSH user certificate (PROTOCOL.certkeys of OpenSSH) that somebody else has signed. */
import { readWire, sshString } from '../ssh-wire.ts';

/** Times are milliseconds since the epoch; `expiresAt` is infinite where the certificate has no end. */
export interface CertificateFacts {
  /** Wire form of the public key that the certificate is for. */
  readonly publicKey: Buffer;
  readonly isForUsers: boolean;
  readonly startsAt: number;
  readonly expiresAt: number;
}

const suffix = '-cert-v01@openssh.com';
/** Wire strings of the public key, by type. */
const keyFields: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
};
const userCertificate = 1;
const msMax = BigInt(Number.MAX_SAFE_INTEGER);

/** Does not check the signature: that is for the host to do. Throws Error when the text is no such certificate. */
export function readCertificate(text: string): CertificateFacts {
  const [type = '', base64 = ''] = text.trim().split(/\s+/);
  const keyType = type.endsWith(suffix) ? type.slice(0, -suffix.length) : '';
  const fields = keyFields[keyType];
  if (fields === undefined) throw new Error('The text is not an OpenSSH certificate');
  const certificate = readWire(Buffer.from(base64, 'base64'));
  if (certificate.string().toString('latin1') !== type) throw new Error('The certificate is of another type');
  certificate.string(); // nonce
  const publicKey = Buffer.concat([
    sshString(keyType),
    ...Array.from({ length: fields }, () => sshString(certificate.string())),
  ]);
  certificate.uint64(); // serial
  const isForUsers = certificate.uint32() === userCertificate;
  certificate.string(); // key id
  certificate.string(); // principals: the host knows which of them may log in as whom
  const startsAt = toMs(certificate.uint64());
  return { publicKey, isForUsers, startsAt, expiresAt: toMs(certificate.uint64()) };
}

function toMs(seconds: bigint): number {
  const ms = seconds * 1_000n;
  return ms > msMax ? Number.POSITIVE_INFINITY : Number(ms);
}
