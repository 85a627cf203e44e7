/** Writes OpenSSH user certificates (PROTOCOL.certkeys of OpenSSH) for ed25519 keys, signed by a CA key of any type. */
import { randomBytes } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { readWire, sshString, uint32, uint64 } from '../../../shared/ssh/wire.ts';
import type { CaSigner } from './ca-signer.ts';

/** What a certificate says. Times are seconds since the epoch. */
export interface CertificateContent {
  readonly keyId: string;
  readonly principal: string;
  readonly validAfter: number;
  readonly validBefore: number;
  /** CIDR list for the critical option `source-address`. */
  readonly sourceAddress?: string;
  /** For a jump host: ports may be forwarded, the one extension it needs, and no command is run but one that does nothing. */
  readonly forwardsPortsOnly?: boolean;
}

const certificateType = 'ssh-ed25519-cert-v01@openssh.com';
const userCertificate = 1;
/** Run in place of whatever is asked for. */
const doesNothing = '/bin/false';

/** The one-line text of a `-cert.pub` file. Throws what the signer throws. */
export async function signUserCertificate(
  ca: CaSigner,
  subject: ParsedKey,
  content: CertificateContent,
): Promise<string> {
  const publicKey = readWire(subject.getPublicSSH());
  publicKey.string();
  const { sourceAddress, forwardsPortsOnly = false } = content;
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
    // In the order of their names, as they must be.
    sshString(
      Buffer.concat([
        ...(forwardsPortsOnly ? [pair('force-command', sshString(doesNothing))] : []),
        ...(sourceAddress ? [pair('source-address', sshString(sourceAddress))] : []),
      ]),
    ),
    sshString(forwardsPortsOnly ? pair('permit-port-forwarding', Buffer.alloc(0)) : ''),
    sshString(''),
    sshString(ca.publicKey),
  ]);
  const certificate = Buffer.concat([body, sshString(await ca.sign(body))]);
  return `${certificateType} ${certificate.toString('base64')}`;
}

function pair(name: string, data: Buffer): Buffer {
  return Buffer.concat([sshString(name), sshString(data)]);
}
