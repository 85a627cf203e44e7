/** Reads OpenSSH known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) for one host at a time. */
import { createHmac } from 'node:crypto';

/** What a file says about one host. Keys are public key blobs. */
export interface KnownHost {
  readonly trusted: readonly Buffer[];
  readonly revoked: readonly Buffer[];
  /** Of `@cert-authority` lines. */
  readonly authorities: readonly Buffer[];
}

/** Lines that cannot be read are passed over, as OpenSSH does. */
export function findKnownHost(fileText: string, host: string, port: number): KnownHost {
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
  const trusted: Buffer[] = [];
  const revoked: Buffer[] = [];
  const authorities: Buffer[] = [];
  for (const line of fileText.split('\n')) {
    const fields = line.trim().split(/[ \t]+/);
    const marker = fields[0]?.startsWith('@') ? fields.shift() : undefined;
    const [patterns, type, base64] = fields;
    if (!patterns || patterns.startsWith('#') || !type || !base64 || !matches(patterns, name)) continue;
    const blob = Buffer.from(base64, 'base64');
    if (marker === undefined) trusted.push(blob);
    else if (marker === '@revoked') revoked.push(blob);
    else if (marker === '@cert-authority') authorities.push(blob);
  }
  return { trusted, revoked, authorities };
}

/** Either one hashed name, or a list of patterns in which one negated match decides against. */
function matches(patterns: string, name: string): boolean {
  if (patterns.startsWith('|1|')) return matchesHash(patterns, name);
  const list = patterns.toLowerCase().split(',');
  if (list.some((pattern) => pattern.startsWith('!') && matchesPattern(pattern.slice(1), name))) return false;
  return list.some((pattern) => !pattern.startsWith('!') && matchesPattern(pattern, name));
}

function matchesHash(pattern: string, name: string): boolean {
  const [, , salt, hash] = pattern.split('|');
  if (!salt || !hash) return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
}

/** `*` for any text, `?` for a character (ssh_config(5), PATTERNS). */
export function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[\\^$+.()|[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(name);
}
