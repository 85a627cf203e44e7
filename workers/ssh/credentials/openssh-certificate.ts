/** Writes OpenSSH user certificates (PROTOCOL.certkeys of OpenSSH) for ed25519 keys, signed by a CA key of any type. */
import { randomBytes } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { readWire, sshString, uint32, uint64 } from '../ssh-wire.ts';

/** What a certificate says. Times are seconds since the epoch. */
export interface CertificateContent {
  readonly keyId: string;
  readonly principal: string;
  readonly validAfter: number;
  readonly validBefore: number;
  /** CIDR list for the critical option `source-address`. */
  readonly sourceAddress?: string;
  /** The one extension a jump host needs; without it the certificate has none. */
  readonly permitPortForwarding?: boolean;
}

const certificateType = 'ssh-ed25519-cert-v01@openssh.com';
const userCertificate = 1;

/** The one-line text of a `-cert.pub` file. Throws Error when the CA key cannot sign. */
export function signUserCertificate(ca: ParsedKey, subject: ParsedKey, content: CertificateContent): string {
  const publicKey = readWire(subject.getPublicSSH());
  publicKey.string();
  const { sourceAddress } = content;
  const body = Buffer.concat([
    sshString(certificateType),
    sshString(randomBytes(32)),
    sshString(publicKey.string()),
    uint64(randomBytes(8).readBigUInt64BE() >> 1n),
    uint32(userCertificate),
    sshString(content.keyId),
    sshString(sshString(content.principal)),
    uint64(content.validAfter),
    uint64(content.validBefore),
    sshString(sourceAddress ? pair('source-address', sshString(sourceAddress)) : ''),
    sshString(content.permitPortForwarding ? pair('permit-port-forwarding', Buffer.alloc(0)) : ''),
    sshString(''),
    sshString(ca.getPublicSSH()),
  ]);
  const certificate = Buffer.concat([body, sshString(signature(ca, body))]);
  return `${certificateType} ${certificate.toString('base64')}`;
}

function pair(name: string, data: Buffer): Buffer {
  return Buffer.concat([sshString(name), sshString(data)]);
}

/** RFC 4253 section 6.6, RFC 8332 for RSA (SHA-1 is never used), RFC 5656 for ECDSA. */
function signature(ca: ParsedKey, body: Buffer): Buffer {
  const isRsa = ca.type === 'ssh-rsa';
  const signed = ca.sign(body, isRsa ? 'sha512' : undefined);
  if (!Buffer.isBuffer(signed)) throw new Error('The CA key cannot sign', { cause: signed });
  const name = isRsa ? 'rsa-sha2-512' : ca.type;
  return Buffer.concat([sshString(name), sshString(ca.type.startsWith('ecdsa-') ? ecdsaBlob(signed) : signed)]);
}

/** DER `SEQUENCE { INTEGER r, INTEGER s }` to two mpints: the integers' bytes are the same in both. */
export function ecdsaBlob(der: Buffer): Buffer {
  let at = (der[1] ?? 0) === 0x81 ? 3 : 2;
  const integer = (): Buffer => {
    const length = der[at + 1] ?? 0;
    at += 2 + length;
    return der.subarray(at - length, at);
  };
  return Buffer.concat([sshString(integer()), sshString(integer())]);
}
