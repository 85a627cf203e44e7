/** Decides whether the key that a host shows is one we were told to expect. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { findKnownHost } from './known-hosts.ts';
import type { HostKeyPolicy } from './options.ts';
import { readWire } from './ssh-wire.ts';

/** One host's policy, ready for use. */
export interface HostKeyVerifier {
  /** Key algorithms to ask the host for, so that it shows the key we know; undefined when any may do. */
  readonly algorithms: readonly string[] | undefined;
  /** Undefined when the key is accepted, else one sentence that says why not. */
  refusal(key: Buffer): string | undefined;
}

export interface HostAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads the policy once, the known_hosts file included. Throws Error when the policy names no key at all, a pinned key
 * cannot be read or the file cannot. Host certificates are not supported: ssh2 cannot negotiate them.
 */
export function createHostKeyVerifier(policy: HostKeyPolicy, address: HostAddress, log: Logger): HostKeyVerifier {
  const place = `${address.host}:${address.port}`;
  if (policy.mode === 'accept-any') {
    log.warn({ host: place }, 'HOST KEYS ARE NOT CHECKED: anyone may pose as this host; for development only');
    return { algorithms: undefined, refusal: () => undefined };
  }
  if (!policy.pinnedKeys?.length && !policy.knownHostsFile) {
    throw new Error(`No host key is configured for ${place}: pin its keys or name a known_hosts file`);
  }
  const fingerprints = new Set(policy.pinnedKeys?.filter((pinned) => pinned.startsWith('SHA256:')).map(unpadded));
  const pinned = policy.pinnedKeys?.filter((text) => !text.startsWith('SHA256:')).map(publicKeyBlob) ?? [];
  const known = policy.knownHostsFile
    ? findKnownHost(readFileSync(policy.knownHostsFile, 'utf8'), address.host, address.port)
    : { trusted: [], revoked: [], hasCertificateAuthority: false };
  const revoked = new Set(known.revoked.map(fingerprint));
  const trusted = [...pinned, ...known.trusted];
  for (const key of trusted) fingerprints.add(fingerprint(key));
  const algorithms = [...new Set(trusted.flatMap(algorithmsOf))];
  const hasOnlyBlobs = fingerprints.size === new Set(trusted.map(fingerprint)).size;

  return {
    algorithms: hasOnlyBlobs && algorithms.length > 0 ? algorithms : undefined,
    refusal(key) {
      const shown = fingerprint(key);
      if (revoked.has(shown)) return `The key of ${place} (${shown}) is revoked.`;
      if (fingerprints.has(shown)) return undefined;
      if (fingerprints.size > 0) return `The key of ${place} (${shown}) is not the expected one.`;
      if (!known.hasCertificateAuthority) return `No key of ${place} is known; it showed ${shown}.`;
      return `For ${place} only a @cert-authority is known, and host certificates are not supported: pin its key.`;
    },
  };
}

/** `SHA256:` and unpadded base64, as ssh-keygen -l prints it. */
export function fingerprint(key: Buffer): string {
  return unpadded(`SHA256:${createHash('sha256').update(key).digest('base64')}`);
}

function unpadded(text: string): string {
  return text.trim().replace(/=+$/, '');
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

/** RFC 8332: an RSA key signs with SHA-2; `ssh-rsa` itself (SHA-1) is not asked for, nor any type ssh2 lacks. */
function algorithmsOf(blob: Buffer): string[] {
  const type = keyType(blob);
  if (type === 'ssh-rsa') return ['rsa-sha2-512', 'rsa-sha2-256'];
  return type === 'ssh-ed25519' || type?.startsWith('ecdsa-sha2-nistp') ? [type] : [];
}
