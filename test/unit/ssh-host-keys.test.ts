import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { sshString } from '../../shared/ssh/wire.ts';
import { fingerprint } from '../../workers/ssh/fingerprint.ts';
import { createHostKeyVerifier } from '../../workers/ssh/host-keys.ts';
import { findKnownHost } from '../../workers/ssh/known-hosts.ts';

const log = pino({ level: 'silent' });
const folder = mkdtempSync(join(tmpdir(), 'gc-known-'));
afterAll(() => rmSync(folder, { recursive: true }));

function key(type: string, fill: number): { blob: Buffer; line: string } {
  const blob = Buffer.concat([sshString(type), sshString(Buffer.alloc(32, fill))]);
  return { blob, line: `${type} ${blob.toString('base64')}` };
}
const [good, other, rsa] = [key('ssh-ed25519', 1), key('ssh-ed25519', 2), key('ssh-rsa', 3)];
const login = { host: 'login.example.org', port: 22 };

function hashed(name: string): string {
  const salt = Buffer.alloc(20, 7);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

describe('known_hosts', () => {
  it.each([
    ['a plain name', 'login.example.org', 22, true],
    ['a name in another case', 'LOGIN.Example.org', 22, true],
    ['a list with a wildcard', 'x.org,*.example.org', 22, true],
    ['a question mark for one character', 'logi?.example.org', 22, true],
    ['a negated name', '*.example.org,!login.example.org', 22, false],
    ['a dot that is no wildcard', 'loginxexample.org', 22, false],
    ['a name without the port', 'login.example.org', 2222, false],
    ['a name with the port', '[login.example.org]:2222', 2222, true],
    ['a hashed name', hashed('login.example.org'), 22, true],
    ['a hashed name with the port', hashed('[login.example.org]:2222'), 2222, true],
    ['a hash of another name', hashed('other.example.org'), 22, false],
  ])('is matched as OpenSSH does: %s', (_, patterns, port, isMatch) => {
    const found = findKnownHost(`# comment\n\n${patterns} ${good.line} a comment\nbroken\n`, login.host, port);
    expect(found.trusted).toEqual(isMatch ? [good.blob] : []);
  });
});

describe('a host key', () => {
  it('is accepted when it is pinned as a key or as a fingerprint, and refused otherwise', () => {
    for (const pinned of [good.line, `${good.line} comment`, fingerprint(good.blob), `${fingerprint(good.blob)}=`]) {
      const verifier = createHostKeyVerifier({ mode: 'verify', pinnedKeys: [pinned] }, login, log);
      expect(verifier.refusal(good.blob)).toBeUndefined();
      expect(verifier.refusal(other.blob)).toMatch(/not the expected one/);
    }
  });

  it('that is revoked is refused even when it is pinned', () => {
    const knownHostsFile = join(folder, 'revoked');
    writeFileSync(knownHostsFile, `@revoked * ${good.line}\nlogin.example.org ${good.line}\n`);
    const policy = { mode: 'verify', pinnedKeys: [good.line], knownHostsFile } as const;
    expect(createHostKeyVerifier(policy, login, log).refusal(good.blob)).toMatch(/revoked/);
  });

  it('of a type we know is the one we ask the host for', () => {
    const algorithms = (pinnedKeys: string[]) =>
      createHostKeyVerifier({ mode: 'verify', pinnedKeys }, login, log).algorithms;
    expect(algorithms([rsa.line])).toEqual(['rsa-sha2-512', 'rsa-sha2-256']);
    expect(algorithms([good.line, rsa.line])).toEqual(['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256']);
    const any = algorithms([good.line, fingerprint(other.blob)]);
    expect(any).toEqual(expect.arrayContaining(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-256']));
    // RSA with SHA-1.
    expect(any).not.toContain('ssh-rsa');
  });

  it('must be configured: a policy without one, or with one that cannot be read, stops the start', () => {
    for (const policy of [
      {},
      { pinnedKeys: [] },
      { pinnedKeys: ['ssh-ed25519 AAAA'] },
      { knownHostsFile: '/no/file' },
    ]) {
      expect(() => createHostKeyVerifier({ mode: 'verify', ...policy }, login, log)).toThrow();
    }
  });
});
