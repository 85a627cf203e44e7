/** Decides whether the key or the certificate that a host shows is one we were told to expect. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { readWire } from '../../shared/ssh/wire.ts';
import { fingerprint, unpadded } from './fingerprint.ts';
import { certificateProblem } from './host-certificate.ts';
import { requireKnownSsh2 } from './host-certificate-exchange.ts';
import { findKnownHost } from './known-hosts.ts';
import type { HostKeyPolicy } from './options.ts';
import { type CertificateFacts, certificateType, readCertificate } from './read-certificate.ts';

/** One host's policy, ready for use. */
export interface HostKeyVerifier {
  /** Key algorithms to ask the host for, so that it shows the key we know; all of them when any may do. */
  readonly algorithms: readonly string[];
  /** Whether to ask for a certificate first. */
  readonly takesCertificates: boolean;
  /** Undefined when the key, or certificate, in its wire form is accepted, else one sentence that says why not. */
  refusal(shown: Buffer): string | undefined;
}

export interface HostAddress {
  readonly host: string;
  readonly port: number;
}

/** Fingerprints. */
interface KnownKeys {
  readonly trusted: ReadonlySet<string>;
  readonly revoked: ReadonlySet<string>;
  readonly authorities: ReadonlySet<string>;
}

/** In the order of preference. RFC 8332: an RSA key signs with SHA-2; `ssh-rsa` itself, SHA-1, is never asked for. */
const allAlgorithms = [
  'ssh-ed25519',
  ...['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ...['rsa-sha2-512', 'rsa-sha2-256'],
] as const;

/**
 * Reads the policy once, the known_hosts file included. Throws Error when the policy names no key at all, a key cannot be
 * read or the file cannot.
 */
export function createHostKeyVerifier(policy: HostKeyPolicy, address: HostAddress, log: Logger): HostKeyVerifier {
  const place = `${address.host}:${address.port}`;
  if (policy.mode === 'accept-any') {
    log.warn({ host: place }, 'HOST KEYS ARE NOT CHECKED: anyone may pose as this host; for development only');
    return { algorithms: allAlgorithms, takesCertificates: false, refusal: () => undefined };
  }
  const { pinnedKeys = [], authorities = [], knownHostsFile } = policy;
  if (pinnedKeys.length === 0 && authorities.length === 0 && !knownHostsFile) {
    throw new Error(`No host key is configured for ${place}: pin its keys, name a known_hosts file or its authority`);
  }
  const file = knownHostsFile
    ? findKnownHost(readFileSync(knownHostsFile, 'utf8'), address.host, address.port)
    : { trusted: [], revoked: [], authorities: [] };
  const pinned = read(pinnedKeys);
  const blobs = [...pinned.blobs, ...file.trusted];
  const known: KnownKeys = {
    trusted: new Set([...pinned.fingerprints, ...blobs.map(fingerprint)]),
    revoked: new Set(file.revoked.map(fingerprint)),
    authorities: new Set([...fingerprintsOf(read(authorities)), ...file.authorities.map(fingerprint)]),
  };
  const takesCertificates = known.authorities.size > 0;
  if (takesCertificates) requireKnownSsh2();
  const algorithms = [...new Set(blobs.flatMap(algorithmsOf))];
  return {
    algorithms: pinned.fingerprints.length === 0 && algorithms.length > 0 ? algorithms : allAlgorithms,
    takesCertificates,
    refusal: (shown) =>
      certificateType(shown) === undefined
        ? keyRefusal(shown, known, place)
        : certificateRefusal(shown, known, { place, host: address.host }),
  };
}

function keyRefusal(key: Buffer, { trusted, revoked, authorities }: KnownKeys, place: string): string | undefined {
  const shown = fingerprint(key);
  if (revoked.has(shown)) return `The key of ${place} (${shown}) is revoked.`;
  if (trusted.has(shown)) return undefined;
  if (trusted.size > 0) return `The key of ${place} (${shown}) is not the expected one.`;
  if (authorities.size === 0) return `No key of ${place} is known; it showed ${shown}.`;
  return `Only an authority for ${place} is known, and the host showed a key (${shown}) without a certificate.`;
}

/** As with OpenSSH, a key that is known for itself needs no certificate, whatever is wrong with the one it comes with. */
function certificateRefusal(
  shown: Buffer,
  { trusted, revoked, authorities }: KnownKeys,
  { place, host }: { place: string; host: string },
): string | undefined {
  const facts = factsOf(shown);
  if (facts === undefined) return `The certificate of ${place} cannot be read.`;
  const problem = certificateProblem(facts, { host, authorities, revoked, now: Date.now() });
  const key = fingerprint(facts.publicKey);
  if (problem === undefined || (trusted.has(key) && !revoked.has(key))) return undefined;
  return `The certificate of ${place} ${problem}.`;
}

function factsOf(blob: Buffer): CertificateFacts | undefined {
  try {
    return readCertificate(blob);
  } catch {
    return undefined; // whatever is wrong with it, it is none: the caller says so
  }
}

interface WrittenKeys {
  readonly blobs: readonly Buffer[];
  readonly fingerprints: readonly string[];
}

/** Keys as lines of `.pub` files, or as fingerprints. */
function read(texts: readonly string[]): WrittenKeys {
  const isFingerprint = (text: string) => text.startsWith('SHA256:');
  return {
    fingerprints: texts.filter(isFingerprint).map(unpadded),
    blobs: texts.filter((text) => !isFingerprint(text)).map(publicKeyBlob),
  };
}

function fingerprintsOf({ blobs, fingerprints }: WrittenKeys): string[] {
  return [...fingerprints, ...blobs.map(fingerprint)];
}

function publicKeyBlob(text: string): Buffer {
  const [type, base64] = text.trim().split(/\s+/);
  const blob = Buffer.from(base64 ?? '', 'base64');
  if (blob.length < 8 || keyType(blob) !== type) {
    throw new Error(`Not a public key or SHA256 fingerprint: ${text.slice(0, 40)}`);
  }
  return blob;
}

function keyType(blob: Buffer): string | undefined {
  try {
    return readWire(blob).string().toString('latin1');
  } catch {
    return undefined; // not the wire form of a key: the caller says so
  }
}

/** Those of a key; none where ssh2 lacks its type. */
function algorithmsOf(blob: Buffer): string[] {
  const type = keyType(blob);
  if (type === 'ssh-rsa') return ['rsa-sha2-512', 'rsa-sha2-256'];
  return type === 'ssh-ed25519' || type?.startsWith('ecdsa-sha2-nistp') ? [type] : [];
}
