/** Hosts known by their authority: what a real sshd shows as its HostCertificate is believed when, and only when, it should be. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../lab/lab.ts';
import type { HostCertificate, OtherSshdOptions, SshdFacts, SshdServer } from '../../lab/parts/sshd.ts';
import type { SshSystemOptions } from '../../workers/ssh/options.ts';
import { startFakeCertifiedHost } from './impostor-host.ts';
import { labUserCa, sshTo, startSshLab, systemOptions } from './ssh-fixture.ts';

let lab: Lab;
const authorities: Record<string, { path: string; publicKey: string }> = {};
let started = 0;

beforeAll(async () => {
  lab = await startSshLab();
  for (const type of ['ed25519', 'ecdsa', 'rsa']) {
    const path = join(lab.folder, `authority-${type}`);
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', path]);
    authorities[type] = { path, publicKey: readFileSync(`${path}.pub`, 'utf8').trim() };
  }
}, 60_000);
afterAll(async () => {
  await lab?.stop();
});

function startHost(certificate: HostCertificate = {}, more: Partial<OtherSshdOptions> = {}): Promise<SshdServer> {
  started += 1;
  return lab.sshd.startAnother({ name: `host-${started}`, hostKey: 'own', certificate, ...more });
}

const byAuthority = (...keys: string[]) => ({ mode: 'verify', authorities: keys }) as const;

async function whoAmI(at: { host: string; port: number }, options: Partial<SshSystemOptions> = {}): Promise<string> {
  const hostKeys = byAuthority(lab.sshd.hostCaKey);
  const ssh = sshTo(systemOptions(lab.sshd, { host: at.host, port: at.port, hostKeys, ...options }), labUserCa(lab));
  try {
    return (await ssh.shell('lab', 'gcalice').run(['id', '-un'])).stdout.toString().trim();
  } finally {
    await ssh.close();
  }
}

const mismatch = (words: string) => ({ code: 'HostKeyMismatch', message: expect.stringContaining(words) as string });

describe('a host with a certificate', () => {
  it.each([
    ['ed25519', 'ed25519'],
    ['ecdsa', 'rsa'],
    ['rsa', 'ecdsa'],
  ] as const)('of an %s key, signed by an %s one, is known by its authority', async (keyType, signer) => {
    const { path, publicKey } = authorities[signer] ?? { path: '', publicKey: '' };
    const server = await startHost({ keyType, authorityPath: path, validity: '-1m:+5m' });
    expect(await whoAmI(server, { hostKeys: byAuthority(publicKey) })).toBe('gcalice');
    await expect(whoAmI(server)).rejects.toMatchObject(mismatch('that is not known'));
  });

  it('is known by a fingerprint, by a known_hosts file, and by a name with a wildcard', async () => {
    const [fingerprint = ''] =
      /SHA256:\S+/.exec(
        execFileSync('ssh-keygen', ['-l', '-f', '-'], { input: `${lab.sshd.hostCaKey}\n` }).toString(),
      ) ?? [];
    expect(await whoAmI(lab.sshd, { hostKeys: byAuthority(fingerprint) })).toBe('gcalice');
    const knownHostsFile = lab.sshd.knownHostsCaPath;
    expect(await whoAmI(lab.sshd, { hostKeys: { mode: 'verify', knownHostsFile } })).toBe('gcalice');
    expect(await whoAmI(await startHost({ principals: ['127.0.*'] }))).toBe('gcalice');
  });

  it('keeps its connection while both sides make new keys', async () => {
    const server = await startHost({}, { rekeyLimit: '64K' });
    const hostKeys = byAuthority(lab.sshd.hostCaKey);
    const ssh = sshTo(systemOptions(server, { hostKeys }), labUserCa(lab));
    const shell = ssh.shell('lab', 'gcalice');
    try {
      for (let round = 0; round < 3; round += 1) {
        const { stdout } = await shell.run(['head', '-c', '500000', '/dev/zero']);
        expect(stdout.length).toBe(500_000);
      }
      expect(ssh.poolStats()[0]?.connectionsOpened).toBe(1);
    } finally {
      await ssh.close();
    }
  });

  it.each([
    ['has expired', { validity: '-10m:-5m' }, 'has expired'],
    ['is not valid yet', { validity: '+5m:+10m' }, 'is not valid before'],
    ['is of another host', { principals: ['other.example.org'] }, 'is for other.example.org, not for 127.0.0.1'],
    ['names no host', { principals: [] }, 'is for no host by name'],
  ])('that %s is refused, and nobody logs in', async (_, certificate, words) => {
    const server = await startHost(certificate);
    await expect(whoAmI(server)).rejects.toMatchObject(mismatch(words));
    expect(readFileSync(server.logFile, 'utf8')).not.toContain('gcalice');
  });

  it('whose key, or whose authority, was revoked is refused', async () => {
    const server = await startHost();
    const fileOf = (name: string, line: string) => {
      const path = join(lab.folder, name);
      writeFileSync(path, `${readFileSync(server.knownHostsCaPath, 'utf8')}@revoked * ${line}\n`);
      return { hostKeys: { mode: 'verify', knownHostsFile: path } } as const;
    };
    await expect(whoAmI(server, fileOf('revoked-key', server.hostKey))).rejects.toMatchObject(mismatch('is revoked'));
    const ofAuthority = fileOf('revoked-authority', server.hostCaKey);
    await expect(whoAmI(server, ofAuthority)).rejects.toMatchObject(mismatch('is revoked'));
  });

  it('is known by its own key where that is pinned, whatever its certificate says', async () => {
    const server = await startHost({ validity: '-10m:-5m' });
    const hostKeys = { ...byAuthority(lab.sshd.hostCaKey), pinnedKeys: [server.hostKey] };
    expect(await whoAmI(server, { hostKeys })).toBe('gcalice');
  });
});

describe('an impostor', () => {
  it('without a certificate is refused', async () => {
    const impostor = await lab.sshd.startAnother({ name: 'plain-impostor', hostKey: 'impostor' });
    await expect(whoAmI(impostor)).rejects.toMatchObject(mismatch('without a certificate'));
    expect(readFileSync(impostor.logFile, 'utf8')).not.toContain('gcalice');
  });

  it('with the certificate of the host, and another key, is refused: only the key in it can sign', async () => {
    const key = join(lab.folder, 'stolen');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const { path = '', publicKey = '' } = authorities.ed25519 ?? {};
    execFileSync('ssh-keygen', ['-q', '-s', path, '-h', '-I', 'x', '-n', '127.0.0.1', `${key}.pub`]);
    const options = { hostKeys: byAuthority(publicKey) };
    const owner = await startFakeCertifiedHost(`${key}-cert.pub`, key);
    const impostor = await startFakeCertifiedHost(`${key}-cert.pub`, authorities.ed25519?.path ?? '');
    try {
      // The owner of the key gets as far as the login, which it refuses to everybody.
      await expect(whoAmI(owner, options)).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
      await expect(whoAmI(impostor, options)).rejects.toMatchObject({
        code: 'SshUnavailable',
        cause: { message: expect.stringContaining('signature verification failed') },
      });
    } finally {
      owner.stop();
      impostor.stop();
    }
  });

  it('is refused as a jump host, and behind one that is known by its authority', async () => {
    const jump = await startHost({}, { allowTcpForwarding: true });
    const impostor: SshdFacts = await lab.sshd.startAnother({ name: 'impostor', hostKey: 'impostor' });
    const proxyOf = ({ host, port }: SshdFacts) => ({ host, port, hostKeys: byAuthority(lab.sshd.hostCaKey) });
    expect(await whoAmI(lab.sshd, { proxy: proxyOf(jump) })).toBe('gcalice');
    await expect(whoAmI(lab.sshd, { proxy: proxyOf(impostor) })).rejects.toMatchObject({ code: 'HostKeyMismatch' });
    await expect(whoAmI(impostor, { proxy: proxyOf(jump) })).rejects.toMatchObject({ code: 'HostKeyMismatch' });
  });
});
