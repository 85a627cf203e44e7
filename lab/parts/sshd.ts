/**
 * OpenSSH servers with a configuration of the lab's own: login by a user's key and by certificates of a user CA, a
 * host key and a host certificate. Sources: sshd_config(5), ssh-keygen(1).
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { controlOf, type DaemonControl, startDaemon } from '../daemon.ts';
import { portAt, startOnFreePorts } from '../free-ports.ts';
import { labFolderVariable } from '../lab-folder.ts';
import { runCommand } from '../run-command.ts';
import type { LabUser } from '../users.ts';

export interface SshdFacts {
  host: string;
  port: number;
  /** Public host key, one line: type, base64 and nothing else. */
  hostKey: string;
  /** Public key of the CA that signed the host certificate, in the same form. */
  hostCaKey: string;
  /** known_hosts with the host key alone, and with the host CA alone. */
  knownHostsPath: string;
  knownHostsCaPath: string;
  userCa: { publicKey: string; privateKeyPath: string };
  /** A key revocation list, empty at first, that all servers look at. */
  revokedKeysPath: string;
  logFile: string;
}

/** Limits of one server; what is left out has OpenSSH's own default. */
export interface SshdOptions {
  /** Sessions on one connection; 10. */
  maxSessions?: number;
  /** Handshakes at once: start, percent, full; `10:30:100`. */
  maxStartups?: string;
  /** What a jump host needs and a login node often refuses; false. */
  allowTcpForwarding?: boolean;
  /** Sessions get an `XDG_STATE_HOME` in the lab's folder, so that nothing is kept in a home; false. */
  keepsStateInLab?: boolean;
  /** In place of the lab's own `TrustedUserCAKeys` and `RevokedKeys`. */
  trust?: readonly string[];
  /** After so many bytes both sides make new keys; sshd_config(5). */
  rekeyLimit?: string;
  /** What is run in the place of whatever a session asks for; sshd_config(5). */
  forceCommand?: string;
  /** Options of the SFTP server, as sftp-server(8) has them. */
  sftpOptions?: string;
}

export interface OtherSshdOptions extends SshdOptions {
  /** For its log and folder. */
  name: string;
  /** `own`: another key, signed by the lab's host CA (another host). `impostor`: another key that nobody signed. */
  hostKey: 'same' | 'own' | 'impostor';
  /** Of a key of its own, what its certificate is to be other than the lab's usual one. */
  certificate?: HostCertificate;
}

export interface HostCertificate {
  /** Of the host's key; `ed25519`. */
  keyType?: 'ed25519' | 'ecdsa' | 'rsa';
  /** Private key of the authority; the lab's host CA. */
  authorityPath?: string;
  /** Its address and `localhost`; empty: a certificate without names. */
  principals?: readonly string[];
  /** ssh-keygen's `-V`; no end. */
  validity?: string;
}

export interface SshdServer extends SshdFacts, DaemonControl {}

export interface SshdPart extends SshdServer {
  /** One more server for the same users: a jump host, an impostor. It stops with the lab. */
  startAnother(options: OtherSshdOptions): Promise<SshdServer>;
}

export interface SshdContext extends SshdOptions {
  folder: string;
  users: readonly LabUser[];
  /** Environment of every session, such as `SLURM_CONF`. */
  sessionEnvironment: Record<string, string>;
}

const host = '127.0.0.1';

/** Starts the lab's login node; resolves when it greets. */
export async function startSshd(context: SshdContext): Promise<SshdPart> {
  const base = join(context.folder, 'sshd');
  mkdirSync(join(base, 'authorized_keys'), { recursive: true });
  if (context.keepsStateInLab) {
    mkdirSync(join(base, 'state'));
    chmodSync(join(base, 'state'), 0o1777);
  }
  for (const user of context.users) writeFileSync(join(base, 'authorized_keys', user.username), `${user.publicKey}\n`);
  // Where sshd, started by root, puts its unprivileged half; packages leave it to systemd to make it.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  await runCommand('ssh-keygen', ['-q', '-k', '-f', join(base, 'revoked_keys')]);
  await Promise.all([makeKey(join(base, 'user_ca')), makeKey(join(base, 'host_ca'))]);
  const main = await startServer(context, { ...context, name: 'sshd', hostKey: 'own' }, base);
  return { ...main, startAnother: (options) => startServer(context, options, base) };
}

async function startServer(context: SshdContext, options: OtherSshdOptions, base: string): Promise<SshdServer> {
  const ownFolder = join(base, options.name);
  mkdirSync(ownFolder);
  const hostKeyPath = await prepareHostKey(options, base, ownFolder);
  const hostKey = publicKey(hostKeyPath);
  const hostCaKey = publicKey(join(base, 'host_ca'));
  return startOnFreePorts(1, async (ports) => {
    const port = portAt(ports, 0);
    const configPath = join(ownFolder, 'sshd_config');
    writeFileSync(configPath, configText(context, options, { port, base, hostKeyPath }));
    const daemon = await startDaemon({
      name: options.name,
      folder: context.folder,
      // An absolute path: sshd runs itself again for each connection and insists on it.
      command: '/usr/sbin/sshd',
      args: ['-D', '-e', '-f', configPath],
      isReady: () => greets(port),
      readyTimeoutMs: 15_000,
      stopsDescendants: true,
    });
    const knownHostsPath = join(ownFolder, 'known_hosts');
    const knownHostsCaPath = join(ownFolder, 'known_hosts_ca');
    writeFileSync(knownHostsPath, `[${host}]:${port} ${hostKey}\n`);
    writeFileSync(knownHostsCaPath, `@cert-authority [${host}]:${port} ${hostCaKey}\n`);
    const userCaPath = join(base, 'user_ca');
    return {
      ...{ host, port, hostKey, hostCaKey, knownHostsPath, knownHostsCaPath, logFile: daemon.logFile },
      userCa: { publicKey: publicKey(userCaPath), privateKeyPath: userCaPath },
      revokedKeysPath: join(base, 'revoked_keys'),
      ...controlOf(daemon),
    };
  });
}

interface Placement {
  port: number;
  base: string;
  hostKeyPath: string;
}

function configText(context: SshdContext, options: SshdOptions, { port, base, hostKeyPath }: Placement): string {
  const environment = {
    ...context.sessionEnvironment,
    ...(options.keepsStateInLab ? { XDG_STATE_HOME: join(base, 'state') } : {}),
    [labFolderVariable]: context.folder,
  };
  const lines = [
    `Port ${port}`,
    `ListenAddress ${host}`,
    'PidFile none',
    `HostKey ${hostKeyPath}`,
    ...(existsSync(`${hostKeyPath}-cert.pub`) ? [`HostCertificate ${hostKeyPath}-cert.pub`] : []),
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    // The lab's folder lies under /tmp, which everybody may write to; StrictModes would refuse any key file there.
    'StrictModes no',
    `AuthorizedKeysFile ${join(base, 'authorized_keys', '%u')}`,
    ...(options.trust ?? [
      `TrustedUserCAKeys ${join(base, 'user_ca.pub')}`,
      `RevokedKeys ${join(base, 'revoked_keys')}`,
    ]),
    ...(options.rekeyLimit ? [`RekeyLimit ${options.rekeyLimit}`] : []),
    ...(options.forceCommand ? [`ForceCommand ${options.forceCommand}`] : []),
    `MaxSessions ${options.maxSessions ?? 10}`,
    `MaxStartups ${options.maxStartups ?? '10:30:100'}`,
    `AllowTcpForwarding ${options.allowTcpForwarding ? 'yes' : 'no'}`,
    'X11Forwarding no',
    'UseDNS no',
    'PrintMotd no',
    'PrintLastLog no',
    'LoginGraceTime 20',
    `Subsystem sftp internal-sftp ${options.sftpOptions ?? ''}`,
    `SetEnv ${Object.entries(environment)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}`,
    'LogLevel VERBOSE',
  ];
  return `${lines.join('\n')}\n`;
}

async function prepareHostKey(options: OtherSshdOptions, base: string, ownFolder: string): Promise<string> {
  if (options.hostKey === 'same') return join(base, 'sshd', 'host_key');
  const path = join(ownFolder, 'host_key');
  await makeKey(path, options.certificate?.keyType);
  if (options.hostKey === 'own') await certify(path, base, options);
  return path;
}

async function certify(path: string, base: string, { name, certificate = {} }: OtherSshdOptions): Promise<void> {
  const { authorityPath = join(base, 'host_ca'), principals = [host, 'localhost'], validity } = certificate;
  await runCommand('ssh-keygen', [
    ...['-q', '-s', authorityPath, '-h', '-I', name],
    ...(principals.length === 0 ? [] : ['-n', principals.join(',')]),
    ...(validity === undefined ? [] : ['-V', validity]),
    `${path}.pub`,
  ]);
}

async function makeKey(path: string, type = 'ed25519'): Promise<void> {
  await runCommand('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', path]);
  chmodSync(path, 0o600);
}

function publicKey(path: string): string {
  return readFileSync(`${path}.pub`, 'utf8').trim().split(' ').slice(0, 2).join(' ');
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 2_000 });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (greeting) => settle(greeting.toString().startsWith('SSH-2.0-')));
    socket.once('error', () => settle(false));
    socket.once('timeout', () => settle(false));
  });
}
