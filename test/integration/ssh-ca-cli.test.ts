/** `goldcrest ssh-ca` as operators use it: what it prints is pasted into a real sshd, which then lets Goldcrest's users in. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSshCa } from '../../cli/ssh-ca.ts';
import type { Lab } from '../../lab/lab.ts';
import type { SshdServer } from '../../lab/parts/sshd.ts';
import type { CredentialProvider } from '../../workers/ssh/credentials/credential-provider.ts';
import { createUserCa } from '../../workers/ssh/credentials/user-ca.ts';
import { small } from '../unit/config-support.ts';
import { labUserCa, sshTo, startSshLab, systemOptions } from './ssh-fixture.ts';
import { startTokenAgent } from './user-ca-keys.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startSshLab();
}, 60_000);
afterAll(async () => {
  await lab?.stop();
});

interface Ran {
  status: number;
  out: string;
  err: string;
}

/** Runs it with a configuration of these `ssh_credentials`. */
async function run(args: string[], credentials: object = { type: 'SSHStaticKeys', keys: {} }): Promise<Ran> {
  const configFile = join(lab.folder, 'site.yaml');
  const section = `ssh_credentials: ${JSON.stringify(credentials)}\n`;
  writeFileSync(configFile, `${section}${small.slice(small.indexOf('clusters:'))}`);
  const ran = { out: '', err: '' };
  const status = await runSshCa(args, {
    env: { GOLDCREST_CONFIG: configFile },
    print: (line) => {
      ran.out += `${line}\n`;
    },
    complain: (line) => {
      ran.err += `${line}\n`;
    },
  });
  return { status, ...ran };
}

/** Does as the printed text says: its commands as root, its lines in sshd_config. */
async function followed(
  name: string,
  credentials: object,
): Promise<SshdServer & { printed: string; directory: string }> {
  const directory = join(lab.folder, `etc-${name}`);
  mkdirSync(directory);
  const { status, out, err } = await run(['sshd-config', 'one', '--directory', directory], credentials);
  expect([status, err]).toEqual([0, '']);
  const commands = [...out.matchAll(/^# {3}(echo 'ssh-.*|echo 'ecdsa-.*|ssh-keygen -k -f .*)$/gm)].map(
    ([, command = '']) => command,
  );
  expect(commands).toHaveLength(2);
  for (const command of commands) execFileSync('sh', ['-ec', command]);
  const file = join(directory, 'goldcrest.conf');
  writeFileSync(file, out);
  const server = await lab.sshd.startAnother({ name, hostKey: 'own', trust: [`Include ${file}`] });
  return { ...server, printed: out, directory };
}

async function whoAmI(server: SshdServer, credentials: CredentialProvider, username = 'gcalice'): Promise<string> {
  const ssh = sshTo(systemOptions(server), credentials);
  try {
    return (await ssh.shell('lab', username).run(['id', '-un'])).stdout.toString().trim();
  } finally {
    await ssh.close();
  }
}

const refused = { code: 'SshCredentialsRefused' };

describe('goldcrest ssh-ca', () => {
  it('makes a key for its owner alone, and no other one in its place', async () => {
    const path = join(lab.folder, 'made');
    const { status, out, err } = await run(['init', path]);
    expect(status).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(out).toBe(readFileSync(`${path}.pub`, 'utf8'));
    expect(execFileSync('ssh-keygen', ['-y', '-f', path]).toString()).toBe(out);
    expect(err).toContain(`secret_file:${path}`);
    expect(await run(['init', path])).toMatchObject({ status: 3, out: '', err: expect.stringContaining('EEXIST') });
    expect(readFileSync(`${path}.pub`, 'utf8')).toBe(out);
  });

  it('prints lines that let every user in but root, nobody with a certificate of another CA, and no user who is shut out', async () => {
    const path = join(lab.folder, 'followed');
    await run(['init', path]);
    const server = await followed('site', { type: 'UserCA', private_key: `secret_file:${path}` });
    expect(server.printed).not.toContain('PRIVATE');
    const provider = createUserCa({ caPrivateKey: readFileSync(path, 'utf8') });
    expect(await whoAmI(server, provider)).toBe('gcalice');
    expect(await whoAmI(server, provider, 'gcbob')).toBe('gcbob');
    await expect(whoAmI(server, provider, 'root')).rejects.toMatchObject(refused);
    // Where these lines are not, a CA may sign for root as well.
    expect(await whoAmI(lab.sshd, labUserCa(lab), 'root')).toBe('root');
    await expect(whoAmI(server, labUserCa(lab))).rejects.toMatchObject(refused);

    const shutOut = /^# {3}(echo 'id: .*)$/m.exec(server.printed)?.[1] ?? '';
    execFileSync('sh', ['-ec', shutOut.replace('USER@SYSTEM', 'gcalice@lab')]);
    await expect(whoAmI(server, provider)).rejects.toMatchObject(refused);
    expect(await whoAmI(server, provider, 'gcbob')).toBe('gcbob');
  });

  it('reads the public half of a key that is encrypted', async () => {
    const path = join(lab.folder, 'encrypted');
    execFileSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', 'secret words', '-C', 'site', '-f', path]);
    const { out } = await run(['public-key'], { type: 'UserCA', private_key: `secret_file:${path}`, passphrase: 'x' });
    expect(out.split(' ').slice(0, 2)).toEqual(readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2));
  });

  it('says why there are no lines: another kind of credentials, a system that is not there, a key of another format', async () => {
    const service = await run(['sshd-config'], { type: 'SSHStaticKeys', keys: {} });
    expect(service).toMatchObject({ status: 1, out: '', err: expect.stringContaining('authorized_keys') });
    const path = join(lab.folder, 'pem');
    execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-m', 'PEM', '-N', '', '-f', path]);
    const pem = { type: 'UserCA', private_key: `secret_file:${path}` };
    const unread = await run(['sshd-config'], pem);
    expect(unread).toMatchObject({ status: 3, out: '', err: expect.stringContaining('format of OpenSSH') });
    expect(unread.err).not.toContain('BEGIN');
    expect(await run(['sshd-config', 'two'], pem)).toMatchObject({ status: 2, err: expect.stringContaining('two') });
    expect(await run(['nonsense'])).toMatchObject({ status: 2, err: expect.stringContaining('Usage') });
    expect(await run(['--help'])).toMatchObject({ status: 0, out: expect.stringContaining('sshd-config') });
  });
});

describe('a user CA whose key never leaves a PKCS#11 token', () => {
  it.each(['EC:prime256v1', 'rsa:2048'] as const)('logs users in through ssh-agent: %s', async (keyType) => {
    const token = startTokenAgent(lab.folder, keyType);
    const { agentSocket, publicKey } = token;
    try {
      const settings = { type: 'UserCA', agent_socket: agentSocket, public_key: publicKey };
      const server = await followed(`token-${keyType.slice(0, 2)}`, settings);
      const provider = createUserCa({ agentSocket, caPublicKey: publicKey });
      expect(await whoAmI(server, provider)).toBe('gcalice');
      expect(readFileSync(server.logFile, 'utf8')).toMatch(/Accepted publickey for gcalice .* CA (ECDSA|RSA) SHA256:/);
    } finally {
      token.stop();
    }
  });
});
