/** Reads OpenSSH certificates of users and hosts (PROTOCOL.certkeys of OpenSSH) that somebody else has signed. */
import { readWire, sshString } from '../../shared/ssh/wire.ts';

/** Times are milliseconds since the epoch; `expiresAt` is infinite where the certificate has no end. */
export interface CertificateFacts {
  /** Wire form of the public key that the certificate is for. */
  readonly publicKey: Buffer;
  readonly isForUsers: boolean;
  readonly isForHosts: boolean;
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly startsAt: number;
  readonly expiresAt: number;
  readonly criticalOptions: readonly string[];
  /** Wire form of the public key of its authority. */
  readonly authority: Buffer;
  /** What the authority has signed, and the signature in wire form; not checked here. */
  readonly signed: Buffer;
  readonly signature: Buffer;
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
const [userCertificate, hostCertificate] = [1, 2];
const msMax = BigInt(Number.MAX_SAFE_INTEGER);

/** The one-line text of a `-cert.pub` file. Throws Error when it is no such certificate. */
export function readCertificateText(text: string): CertificateFacts {
  const [type = '', base64 = ''] = text.trim().split(/\s+/);
  const blob = Buffer.from(base64, 'base64');
  if (certificateType(blob) !== type) throw new Error('The text is not an OpenSSH certificate');
  return readCertificate(blob);
}

/** The type of a certificate in wire form, such as `ssh-ed25519-cert-v01@openssh.com`; undefined where it is none. */
export function certificateType(blob: Buffer): string | undefined {
  try {
    const type = readWire(blob).string().toString('latin1');
    return type.endsWith(suffix) ? type : undefined;
  } catch {
    return undefined; // not the wire form of anything
  }
}

/** Throws Error when the bytes are no such certificate, and nothing besides. */
export function readCertificate(blob: Buffer): CertificateFacts {
  const certificate = readWire(blob);
  const keyType = certificate.string().toString('latin1').slice(0, -suffix.length);
  const fields = keyFields[keyType];
  if (certificateType(blob) === undefined || fields === undefined) {
    throw new Error('The certificate is of a type that is not known here');
  }
  certificate.string(); // nonce
  const publicKey = Buffer.concat([
    sshString(keyType),
    ...Array.from({ length: fields }, () => sshString(certificate.string())),
  ]);
  certificate.uint64(); // serial
  const kind = certificate.uint32();
  const keyId = certificate.string().toString();
  const principals = stringsIn(certificate.string());
  const [startsAt, expiresAt] = [toMs(certificate.uint64()), toMs(certificate.uint64())];
  const criticalOptions = stringsIn(certificate.string()).filter((_, at) => at % 2 === 0);
  certificate.string(); // extensions: nothing that counts for hosts, and the host's to read for users
  certificate.string(); // reserved
  const authority = certificate.string();
  const signed = blob.subarray(0, blob.length - certificate.remaining);
  const signature = certificate.string();
  if (certificate.remaining !== 0) throw new Error('The certificate goes on after its end');
  const kinds = { isForUsers: kind === userCertificate, isForHosts: kind === hostCertificate };
  return {
    ...{ publicKey, ...kinds, keyId, principals, startsAt, expiresAt },
    ...{ criticalOptions, authority, signed, signature },
  };
}

function stringsIn(list: Buffer): string[] {
  const reader = readWire(list);
  const strings: string[] = [];
  while (reader.remaining > 0) strings.push(reader.string().toString());
  return strings;
}

function toMs(seconds: bigint): number {
  const ms = seconds * 1_000n;
  return ms > msMax ? Number.POSITIVE_INFINITY : Number(ms);
}
