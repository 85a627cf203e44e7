/** Opens one authenticated SSH connection: TCP, host key, login, through a jump host where the system has one. */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2, { type Client, type ConnectConfig } from 'ssh2';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { certifiedKey, enableCertificates } from './certificate-auth.ts';
import type { SshCredential } from './credentials/credential-provider.ts';
import type { HandshakeLimiter } from './handshake-limiter.ts';
import { enableHostCertificates } from './host-certificate-exchange.ts';
import type { HostAddress, HostKeyVerifier } from './host-keys.ts';

/** One host to log in to. */
export interface LoginTarget extends HostAddress {
  readonly verifier: HostKeyVerifier;
}

/** How to get to a system. */
export interface LoginRoute {
  readonly target: LoginTarget;
  readonly jump?: LoginTarget;
  readonly connectTimeoutMs: number;
  readonly loginTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly handshakes: HandshakeLimiter;
}

/** A handshake that sshd drops because too many are under way (MaxStartups) is tried this often. */
const attemptsMax = 6;
const firstRetryMs = 80;

/** AES-GCM first: with AES instructions it is the fastest, and needs no separate MAC. ssh2's other defaults follow. */
const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
] as const;

/** A handshake that ended before it began: sshd is busy, and another try may succeed. */
class HandshakeDropped extends Error {}

/**
 * A logged-in client. Its jump connection is closed with it. Throws HostKeyMismatch, SshCredentialsRefused or
 * SshUnavailable; `signal` aborts the wait.
 */
export async function logIn(
  route: LoginRoute,
  username: string,
  credential: SshCredential,
  signal: AbortSignal,
): Promise<Client> {
  const { certificate, jumpCertificate = certificate } = credential;
  const via = route.jump
    ? await handshake(route, route.jump, username, credential, jumpCertificate, signal)
    : undefined;
  try {
    const client = await handshake(route, route.target, username, credential, certificate, signal, via);
    if (via) closeTogether(via, client);
    return client;
  } catch (error) {
    via?.end();
    throw error;
  }
}

function closeTogether(jump: Client, target: Client): void {
  target.once('close', () => jump.end());
  jump.once('close', () => target.destroy());
}

/** One host, with the retries that a busy sshd needs. */
async function handshake(
  route: LoginRoute,
  host: LoginTarget,
  username: string,
  credential: SshCredential,
  certificate: string | undefined,
  signal: AbortSignal,
  via?: Client,
): Promise<Client> {
  const key = certificate ? certifiedKey(credential.key, certificate) : credential.key;
  const deadline = Date.now() + route.connectTimeoutMs + route.loginTimeoutMs;
  for (let attempt = 1; ; attempt += 1) {
    const release = await route.handshakes.acquire(`${host.host}:${host.port}`, signal);
    try {
      const socket = via ? await forward(via, host) : await openSocket(host, route.connectTimeoutMs, signal);
      return await authenticate(route, host, socket, username, key, signal);
    } catch (error) {
      const waitMs = firstRetryMs * 2 ** attempt * (0.5 + Math.random());
      if (!(error instanceof HandshakeDropped)) throw error;
      if (attempt >= attemptsMax || Date.now() + waitMs > deadline) throw unavailable(host, error.message, error);
      release();
      await pause(waitMs, signal);
    } finally {
      release();
    }
  }
}

/** Without Nagle from the first byte: with it every small request waits for a delayed ACK. */
function openSocket(host: HostAddress, timeoutMs: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: host.host, port: host.port, noDelay: true });
    const fail = (cause: Error) => {
      settle();
      socket.destroy();
      reject(unavailable(host, cause.message, cause));
    };
    const abort = () => fail(new Error('canceled'));
    const timer = setTimeout(() => fail(new Error('no TCP connection in time')), timeoutMs);
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', fail);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}

function forward(via: Client, host: HostAddress): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    via.forwardOut('127.0.0.1', 0, host.host, host.port, (error, stream) => {
      if (error) reject(unavailable(host, `the jump host did not forward: ${error.message}`, error));
      else resolve(stream);
    });
  });
}

function authenticate(
  route: LoginRoute,
  host: LoginTarget,
  socket: Duplex,
  username: string,
  key: SshCredential['key'],
  signal: AbortSignal,
): Promise<Client> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    let refusal: string | undefined;
    const fail = (cause: Error & { level?: string }) => {
      signal.removeEventListener('abort', abort);
      client.destroy();
      socket.destroy();
      reject(refusal ? new BrokerError('HostKeyMismatch', refusal, { cause }) : loginError(host, username, cause));
    };
    const abort = () => fail(new Error('canceled'));
    const closed = () => fail(new Error('the host closed the connection during login'));
    signal.addEventListener('abort', abort, { once: true });
    // Stays for life: an error event without a listener would end the process. Closing is what tells the owner.
    client.on('error', fail);
    client.once('close', closed);
    client.once('ready', () => {
      signal.removeEventListener('abort', abort);
      client.removeListener('close', closed);
      resolve(client);
    });
    client.connect({
      ...loginConfig(route, host, username, key),
      sock: socket,
      hostVerifier: (shown: Buffer) => {
        refusal = host.verifier.refusal(shown);
        return refusal === undefined;
      },
    });
    enableCertificates(client);
    if (host.verifier.takesCertificates) enableHostCertificates(client);
  });
}

function loginConfig(route: LoginRoute, host: LoginTarget, username: string, key: SshCredential['key']): ConnectConfig {
  const { algorithms } = host.verifier;
  const publicKey = { type: 'publickey', username, key };
  return {
    username,
    authHandler: [publicKey],
    readyTimeout: route.loginTimeoutMs,
    keepaliveInterval: route.keepAliveMs,
    keepaliveCountMax: 3,
    algorithms: {
      cipher: [...ciphers],
      serverHostKey: algorithms,
    },
  } as object as ConnectConfig; // the published types know neither a parsed key nor a read-only list
}

function loginError(host: HostAddress, username: string, cause: Error & { level?: string; code?: unknown }): Error {
  if (cause.level === 'client-authentication') {
    const message = `${host.host} refused the login of user ${username}.`;
    return new BrokerError('SshCredentialsRefused', message, { cause });
  }
  const isDropped = /before handshake/.test(cause.message) || cause.code === 'ECONNRESET' || cause.code === 'EPIPE';
  return isDropped ? new HandshakeDropped(cause.message, { cause }) : unavailable(host, cause.message, cause);
}

function unavailable(host: HostAddress, why: string, cause: unknown): BrokerError {
  return new BrokerError('SshUnavailable', 'Unable to establish SSH connection.', {
    cause,
    detail: { host: `${host.host}:${host.port}`, why, sent: false },
  });
}

function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, waitMs);
    signal.addEventListener('abort', abort, { once: true });
  });
}
