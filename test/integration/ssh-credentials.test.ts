import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../lab/lab.ts';
import type { SshdServer } from '../../lab/parts/sshd.ts';
import { signUserKey } from '../../lab/user-certificate.ts';
import type { CredentialProvider } from '../../workers/ssh/credentials/credential-provider.ts';
import { createStaticKeys } from '../../workers/ssh/credentials/static-keys.ts';
import { createUserCa } from '../../workers/ssh/credentials/user-ca.ts';
import type { SshSystemOptions } from '../../workers/ssh/options.ts';
import { eventually } from '../eventually.ts';
import { labUserCa, sshTo, startSshLab, systemOptions } from './ssh-fixture.ts';
import { startAgent } from './user-ca-keys.ts';

let lab: Lab;
let jump: SshdServer;
let impostor: SshdServer;

beforeAll(async () => {
  lab = await startSshLab();
  jump = await lab.sshd.startAnother({ name: 'jump', hostKey: 'own', allowTcpForwarding: true });
  impostor = await lab.sshd.startAnother({ name: 'impostor', hostKey: 'impostor' });
}, 60_000);

afterAll(async () => {
  await lab?.stop();
});

/** Who one is after logging in; the connection is closed again. */
async function whoAmI(credentials: CredentialProvider, more: Partial<SshSystemOptions> = {}): Promise<string> {
  const ssh = sshTo(systemOptions(lab.sshd, more), credentials);
  try {
    return (await ssh.shell('lab', 'gcalice').run(['id', '-un'])).stdout.toString().trim();
  } finally {
    await ssh.close();
  }
}

function newKey(name: string, ...flags: string[]): string {
  const path = join(lab.folder, `key-${name}`);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-f', path, ...flags]);
  return path;
}

describe('static keys', () => {
  it('log a user in with the key the configuration lists, passphrase included', async () => {
    const alice = lab.users.find(({ username }) => username === 'gcalice');
    const path = join(lab.folder, 'with-passphrase');
    writeFileSync(path, readFileSync(alice?.privateKeyPath ?? ''), { mode: 0o600 });
    execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret words', '-f', path]);
    const privateKey = readFileSync(path, 'utf8');
    expect(await whoAmI(createStaticKeys({ gcalice: { privateKey, passphrase: 'secret words' } }))).toBe('gcalice');
    expect(() => createStaticKeys({ gcalice: { privateKey, passphrase: 'wrong' } })).toThrow(/key of user gcalice/);
  });

  it('say so when they have none for a user', async () => {
    await expect(whoAmI(createStaticKeys({}))).rejects.toMatchObject({
      code: 'SshCredentialsRefused',
      message: 'No SSH key is configured for user gcalice on lab.',
    });
  });

  it.each([
    ['ed25519', ['-t', 'ed25519']],
    ['ecdsa', ['-t', 'ecdsa', '-b', '384']],
    ['ecdsa 521', ['-t', 'ecdsa', '-b', '521']],
    ['rsa', ['-t', 'rsa', '-b', '3072']],
  ])('with a certificate of the user CA log in: %s', async (name, flags) => {
    const key = newKey(name.replace(' ', '-'), ...flags);
    const certificate = await signUserKey(lab.sshd.userCa.privateKeyPath, {
      publicKeyPath: `${key}.pub`,
      principals: ['gcalice'],
    });
    const texts = { privateKey: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
    expect(await whoAmI(createStaticKeys({ gcalice: texts }))).toBe('gcalice');
  });
});

describe.each(['ed25519', 'ecdsa', 'rsa'])('a certificate of an %s key', (type) => {
  let key: string;
  beforeAll(() => {
    key = newKey(`refused-${type}`, '-t', type);
  });

  const logIn = async (content: { principals: string[]; validity?: string; options?: string[] }): Promise<string> => {
    const publicKeyPath = `${key}.pub`;
    // Without a serial number, which ssh-keygen gives none, a certificate is revoked by its key id.
    const path = await signUserKey(lab.sshd.userCa.privateKeyPath, { publicKeyPath, keyId: type, ...content });
    const texts = { privateKey: readFileSync(key, 'utf8'), certificate: readFileSync(path, 'utf8') };
    return whoAmI(createStaticKeys({ gcalice: texts }));
  };

  it.each([
    ['has expired', { principals: ['gcalice'], validity: '-10m:-5m' }],
    ['is of another principal', { principals: ['gcbob'] }],
    ['is for another source address', { principals: ['gcalice'], options: ['source-address=192.0.2.0/24'] }],
  ])('that %s is refused', async (_, content) => {
    await expect(logIn(content)).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
  });

  it('that is on the host’s revocation list is refused, from then on', async () => {
    expect(await logIn({ principals: ['gcalice'] })).toBe('gcalice');
    execFileSync('ssh-keygen', ['-q', '-k', '-u', '-f', lab.sshd.revokedKeysPath, `${key}-cert.pub`]);
    await expect(logIn({ principals: ['gcalice'] })).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
  });
});

describe('a user CA', () => {
  it('makes a certificate for one principal, for minutes, without extensions, from our address alone', async () => {
    const caPrivateKey = readFileSync(lab.sshd.userCa.privateKeyPath, 'utf8');
    const provider = createUserCa({
      ...{ caPrivateKey, validityMs: 300_000, sourceAddress: '127.0.0.1/32', jumpSourceAddress: '192.0.2.7' },
      routeOf: (system) =>
        system === 'lab' ? { hasJumpHost: false } : { hasJumpHost: true, sourceAddress: '192.0.2.0/24' },
    });
    const { certificate, expiresAt, ...more } = await provider.credentialFor('lab', 'gcalice');
    expect(more).not.toHaveProperty('jumpCertificate');
    const describeCertificate = (text = '') => {
      const path = join(lab.folder, 'described-cert.pub');
      writeFileSync(path, `${text}\n`);
      return execFileSync('ssh-keygen', ['-L', '-f', path]).toString().replaceAll(/\s+/g, ' ');
    };
    const said = describeCertificate(certificate);
    expect(said).toContain('user certificate');
    expect(said).toContain('Key ID: "goldcrest:gcalice@lab"');
    expect(said).toContain('Principals: gcalice Critical Options: source-address 127.0.0.1/32 Extensions: (none)');
    // Behind a jump host the login node sees that, which sees us.
    const behind = await provider.credentialFor('behind', 'gcalice');
    expect(describeCertificate(behind.certificate)).toMatch(/source-address 192\.0\.2\.0\/24 Extensions: \(none\)/);
    expect(describeCertificate(behind.jumpCertificate)).toMatch(
      /Critical Options: force-command \/bin\/false source-address 192\.0\.2\.7 Extensions: permit-port-forwarding\s*$/,
    );
    expect((expiresAt ?? 0) - Date.now()).toBeGreaterThan(290_000);
    expect(await whoAmI(provider)).toBe('gcalice');
  });

  it.each([
    ['ecdsa', ['-t', 'ecdsa', '-b', '256']],
    ['ecdsa 521', ['-t', 'ecdsa', '-b', '521']],
    ['rsa', ['-t', 'rsa', '-b', '2048']],
  ])('with an %s key signs what ssh-keygen accepts', async (name, flags) => {
    const path = newKey(`ca-${name.replace(' ', '-')}`, ...flags);
    const provider = createUserCa({ caPrivateKey: readFileSync(path, 'utf8') });
    const { certificate } = await provider.credentialFor('lab', 'gcalice');
    const file = join(lab.folder, `signed-${name.replace(' ', '-')}-cert.pub`);
    writeFileSync(file, `${certificate}\n`);
    // ssh-keygen refuses to read a certificate whose signature does not verify.
    expect(execFileSync('ssh-keygen', ['-L', '-f', file]).toString()).toContain('gcalice');
  });

  it.each([
    ['ed25519', ['-t', 'ed25519']],
    ['ecdsa', ['-t', 'ecdsa', '-b', '384']],
    ['rsa', ['-t', 'rsa', '-b', '2048']],
  ])('with an %s key that an ssh-agent keeps signs what ssh-keygen accepts', async (name, flags) => {
    const path = newKey(`agent-${name}`, ...flags);
    const agent = startAgent(lab.folder, path);
    const caPublicKey = readFileSync(`${path}.pub`, 'utf8');
    try {
      const { certificate } = await createUserCa({ ...agent, caPublicKey }).credentialFor('lab', 'gcalice');
      const file = join(lab.folder, `agent-signed-${name}-cert.pub`);
      writeFileSync(file, `${certificate}\n`);
      expect(execFileSync('ssh-keygen', ['-L', '-f', file]).toString()).toContain('gcalice');
    } finally {
      agent.stop();
    }
  });

  it('whose key an ssh-agent keeps logs in; without the agent, or the key in it, the fault passes', async () => {
    const agent = startAgent(lab.folder, lab.sshd.userCa.privateKeyPath);
    const caPublicKey = lab.sshd.userCa.publicKey;
    const strange = readFileSync(`${newKey('not-in-agent', '-t', 'ed25519')}.pub`, 'utf8');
    try {
      expect(await whoAmI(createUserCa({ ...agent, caPublicKey }))).toBe('gcalice');
      const other = createUserCa({ ...agent, caPublicKey: strange });
      await expect(whoAmI(other)).rejects.toMatchObject({
        code: 'SshUnavailable',
        message: expect.stringContaining('ssh-agent'),
      });
    } finally {
      agent.stop();
    }
    const gone = createUserCa({ ...agent, caPublicKey });
    await expect(whoAmI(gone)).rejects.toMatchObject({
      code: 'SshUnavailable',
      message: expect.stringContaining('ssh-agent'),
    });
  });

  it('whose source address is not ours does not log in', async () => {
    const caPrivateKey = readFileSync(lab.sshd.userCa.privateKeyPath, 'utf8');
    const provider = createUserCa({ caPrivateKey, sourceAddress: '192.0.2.1/32' });
    await expect(whoAmI(provider)).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
  });

  it('that the host does not know is refused', async () => {
    const provider = createUserCa({ caPrivateKey: readFileSync(newKey('stranger', '-t', 'ed25519'), 'utf8') });
    await expect(whoAmI(provider)).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
  });

  it('has its connections replaced before their certificates end, and work goes on', async () => {
    const caPrivateKey = readFileSync(lab.sshd.userCa.privateKeyPath, 'utf8');
    const ssh = sshTo(systemOptions(lab.sshd), createUserCa({ caPrivateKey, validityMs: 2_000 }));
    const shell = ssh.shell('lab', 'gcalice');
    const until = performance.now() + 4_500;
    while (performance.now() < until) {
      expect((await shell.run(['true'])).exitCode).toBe(0);
      await ssh.files('lab', 'gcalice').stat('/');
    }
    expect(ssh.poolStats()[0]?.connectionsOpened).toBeGreaterThanOrEqual(2);
    await ssh.close();
  });
});

describe('a host key', () => {
  it('that is not the expected one is refused, and nobody logs in', async () => {
    const to = { host: impostor.host, port: impostor.port };
    await expect(whoAmI(labUserCa(lab), to)).rejects.toMatchObject({ code: 'HostKeyMismatch' });
    expect(readFileSync(impostor.logFile, 'utf8')).not.toContain('gcalice');
  });

  it('may be known by fingerprint, by known_hosts, or be any where that is said', async () => {
    const fingerprint =
      execFileSync('ssh-keygen', ['-l', '-f', lab.sshd.knownHostsPath]).toString().split(' ')[1] ?? '';
    for (const hostKeys of [
      { mode: 'verify', pinnedKeys: [fingerprint] },
      { mode: 'verify', knownHostsFile: lab.sshd.knownHostsPath },
      { mode: 'accept-any' },
    ] as const) {
      expect(await whoAmI(labUserCa(lab), { hostKeys })).toBe('gcalice');
    }
  });
});

describe('a jump host', () => {
  it('leads to the target, with a certificate of its own, and keeps no session afterwards', async () => {
    const proxy = {
      host: jump.host,
      port: jump.port,
      hostKeys: { mode: 'verify', pinnedKeys: [jump.hostKey] },
    } as const;
    const ssh = sshTo(systemOptions(lab.sshd, { proxy }), labUserCa(lab));
    const shell = ssh.shell('lab', 'gcalice');
    expect((await shell.run(['id', '-un'])).stdout.toString()).toBe('gcalice\n');
    expect((await ssh.files('lab', 'gcalice').stat('/')).mode & 0o170000).toBe(0o040000);
    await ssh.close();
    const ended = () =>
      (readFileSync(jump.logFile, 'utf8').match(/Connection closed|Disconnected from user/g) ?? []).length;
    await eventually(() => expect(ended()).toBeGreaterThan(0));
  });

  it('runs nothing for the certificate that is made for it', async () => {
    const ours = labUserCa(lab);
    const swapped: CredentialProvider = {
      async credentialFor(system, username) {
        const { jumpCertificate, ...credential } = await ours.credentialFor(system, username);
        return { ...credential, certificate: jumpCertificate ?? '' };
      },
    };
    const { host, port } = jump;
    const ssh = sshTo(
      systemOptions(lab.sshd, { host, port, hostKeys: { mode: 'verify', pinnedKeys: [jump.hostKey] } }),
      swapped,
    );
    try {
      const { stdout, exitCode } = await ssh.shell('lab', 'gcalice').run(['id', '-un']);
      expect([stdout.toString(), exitCode]).toEqual(['', 1]);
      await expect(ssh.files('lab', 'gcalice').stat('/')).rejects.toBeInstanceOf(Error);
    } finally {
      await ssh.close();
    }
  });

  it('with another host key is refused before anything is sent', async () => {
    const proxy = {
      host: jump.host,
      port: jump.port,
      hostKeys: { mode: 'verify', pinnedKeys: [lab.sshd.hostKey] },
    } as const;
    await expect(whoAmI(labUserCa(lab), { proxy })).rejects.toMatchObject({ code: 'HostKeyMismatch' });
  });

  it('does not weaken the check of the target behind it', async () => {
    const proxy = {
      host: jump.host,
      port: jump.port,
      hostKeys: { mode: 'verify', pinnedKeys: [jump.hostKey] },
    } as const;
    const to = { host: impostor.host, port: impostor.port, proxy };
    await expect(whoAmI(labUserCa(lab), to)).rejects.toMatchObject({ code: 'HostKeyMismatch' });
  });
});
