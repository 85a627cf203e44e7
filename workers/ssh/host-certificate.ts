/** Whether the certificate that a host shows is one that an authority we know has given to that host (ssh(1), sshd(8)). */
import { isSignedBy } from '../../shared/ssh/verify-signature.ts';
import { fingerprint } from './fingerprint.ts';
import { matchesPattern } from './known-hosts.ts';
import type { CertificateFacts } from './read-certificate.ts';

export interface Expectation {
  /** As the configuration names it; with this name it must be in the certificate. */
  readonly host: string;
  /** Fingerprints of the keys of authorities. */
  readonly authorities: ReadonlySet<string>;
  /** Fingerprints of keys, of hosts and of authorities, that are not taken any more. */
  readonly revoked: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * What speaks against it, as the end of a sentence that begins with it; undefined: nothing. A certificate without names,
 * which OpenSSH before 10 took for any host, is refused, as is one with a critical option: there are none for hosts.
 */
export function certificateProblem(certificate: CertificateFacts, expected: Expectation): string | undefined {
  const { publicKey, authority, principals, startsAt, expiresAt, criticalOptions } = certificate;
  const [key, signer] = [fingerprint(publicKey), fingerprint(authority)];
  const host = expected.host.toLowerCase();
  if (expected.revoked.has(key)) return `is for a key (${key}) that is revoked`;
  if (expected.revoked.has(signer)) return `is of an authority (${signer}) that is revoked`;
  if (!expected.authorities.has(signer)) return `is of an authority (${signer}) that is not known`;
  if (!isSignedBy(authority, certificate.signed, certificate.signature)) {
    return `has no signature of its authority (${signer}) that is taken here: ed25519, ecdsa, or RSA with SHA-2`;
  }
  if (!certificate.isForHosts) return 'is not for hosts';
  if (!principals.some((name) => matchesPattern(name.toLowerCase(), host))) {
    return `is for ${principals.length === 0 ? 'no host by name' : principals.slice(0, 5).join(', ')}, not for ${host}`;
  }
  if (expected.now < startsAt) return `is not valid before ${new Date(startsAt).toISOString()}`;
  if (expected.now >= expiresAt) return `has expired, at ${new Date(expiresAt).toISOString()}`;
  if (criticalOptions.length > 0) return 'has a critical option, which no host’s may have';
  return undefined;
}
