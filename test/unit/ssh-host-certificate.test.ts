/** Certificates of hosts, made by ssh-keygen: which are believed, and that nothing in one can be changed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isSignedBy } from '../../shared/ssh/verify-signature.ts';
import { fingerprint } from '../../workers/ssh/fingerprint.ts';
import { certificateProblem } from '../../workers/ssh/host-certificate.ts';
import { readCertificate } from '../../workers/ssh/read-certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'gc-host-certificate-'));
afterAll(() => rmSync(folder, { recursive: true }));
const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args], { cwd: folder });

/** Wire forms of a host's certificate and of its authority's key. */
function certificateOf(type: string, { flags = ['-h', '-n', 'login.example.org'], bits = [] as string[] } = {}) {
  const name = `${type}-${Math.random().toString(36).slice(2)}`;
  keygen('-t', type, ...bits, '-N', '', '-f', `ca-${name}`);
  keygen('-t', 'ed25519', '-N', '', '-f', name);
  keygen('-s', `ca-${name}`, '-I', 'login', ...flags, `${name}.pub`);
  const blobIn = (file: string) => Buffer.from(readFileSync(join(folder, file), 'utf8').split(' ')[1] ?? '', 'base64');
  return { certificate: blobIn(`${name}-cert.pub`), authority: blobIn(`ca-${name}.pub`) };
}

function problem(certificate: Buffer, authority: Buffer, host = 'Login.Example.org'): string | undefined {
  const authorities = new Set([fingerprint(authority)]);
  return certificateProblem(readCertificate(certificate), { host, authorities, revoked: new Set(), now: Date.now() });
}

/** As the verifier sees it: what cannot be read is refused as well. */
function isRefused(certificate: Buffer, authority: Buffer): boolean {
  try {
    return problem(certificate, authority) !== undefined;
  } catch {
    return true;
  }
}

describe('a certificate of a host', () => {
  it.each([
    ['ed25519', []],
    ['ecdsa', ['-b', '256']],
    ['ecdsa', ['-b', '384']],
    ['ecdsa', ['-b', '521']],
    ['rsa', ['-b', '2048']],
  ])('is believed as its authority (%s %j) has signed it, and with no bit of it changed', (type, bits) => {
    const { certificate, authority } = certificateOf(type, { bits });
    expect(problem(certificate, authority)).toBeUndefined();
    // One check takes milliseconds with the larger curves.
    for (let at = 0; at < certificate.length; at += type === 'ed25519' ? 1 : 5) {
      const changed = Buffer.from(certificate);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(isRefused(changed, authority), `byte ${at}`).toBe(true);
    }
    for (let length = 0; length < certificate.length; length += 37) {
      expect(isRefused(certificate.subarray(0, length), authority), `cut at ${length}`).toBe(true);
    }
    expect(isRefused(Buffer.concat([certificate, Buffer.from('x')]), authority)).toBe(true);
  });

  it('is not believed for another host, nor where it is one of a user', () => {
    const { certificate, authority } = certificateOf('ed25519');
    expect(problem(certificate, authority, 'login.example.org.evil.example')).toMatch(/^is for login.example.org, not/);
    const ofUser = certificateOf('ed25519', { flags: ['-n', 'login.example.org'] });
    expect(problem(ofUser.certificate, ofUser.authority)).toBe('is not for hosts');
    const other = certificateOf('ed25519');
    expect(problem(certificate, other.authority)).toMatch(/^is of an authority .* that is not known$/);
  });

  it('is not believed with a critical option', () => {
    const flags = ['-h', '-n', 'login.example.org', '-O', 'critical:x@example.org=y'];
    const { certificate, authority } = certificateOf('ed25519', { flags });
    expect(problem(certificate, authority)).toMatch(/^has a critical option/);
  });

  it('signed with RSA and SHA-1 is not believed', () => {
    const { certificate, authority } = certificateOf('rsa', {
      flags: ['-h', '-n', 'login.example.org', '-t', 'ssh-rsa'],
    });
    const { signed, signature } = readCertificate(certificate);
    expect(signature.toString('latin1')).toContain('ssh-rsa');
    expect(isSignedBy(authority, signed, signature)).toBe(false);
  });
});
