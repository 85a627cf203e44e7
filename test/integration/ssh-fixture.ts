/** What the SSH tests share: an Ssh over one of the lab's servers, with options of the test's choice. */
import { readFileSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { type Lab, startLab } from '../../lab/lab.ts';
import type { SshdFacts } from '../../lab/parts/sshd.ts';
import type { CredentialProvider } from '../../workers/ssh/credentials/credential-provider.ts';
import { createUserCa } from '../../workers/ssh/credentials/user-ca.ts';
import { createInProcessHandshakeLimiter } from '../../workers/ssh/handshake-limiter.ts';
import type { ObserveCommand } from '../../workers/ssh/observe-command.ts';
import type { SshSystemOptions } from '../../workers/ssh/options.ts';
import { createSsh, type Ssh } from '../../workers/ssh/ssh.ts';

export const silent: Logger = pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' });

/** For tests that start servers of their own: sshd alone, with OpenSSH's limits (MaxSessions 10, MaxStartups 10:30:100). */
export function startSshLab(): Promise<Lab> {
  return startLab({ parts: ['sshd'], handlesSignals: false });
}

export function labUserCa(lab: { readonly sshd: SshdFacts }): CredentialProvider {
  const caPrivateKey = readFileSync(lab.sshd.userCa.privateKeyPath, 'utf8');
  return createUserCa({ caPrivateKey, routeOf: () => ({ hasJumpHost: true }) });
}

/** Options for one of the lab's servers, named `lab`, its host key pinned. */
export function systemOptions(server: SshdFacts, more: Partial<SshSystemOptions> = {}): SshSystemOptions {
  return {
    name: 'lab',
    host: server.host,
    port: server.port,
    hostKeys: { mode: 'verify', pinnedKeys: [server.hostKey] },
    connectTimeoutMs: 5_000,
    loginTimeoutMs: 10_000,
    commandTimeoutMs: 10_000,
    idleTimeoutMs: 30_000,
    keepAliveMs: 5_000,
    connectionsMax: 50,
    ...more,
  };
}

export function sshTo(options: SshSystemOptions, credentials: CredentialProvider, observe?: ObserveCommand): Ssh {
  const handshakes = createInProcessHandshakeLimiter(8);
  const observing = observe === undefined ? {} : { observe };
  return createSsh({ systems: [options], credentials: () => credentials, handshakes, log: silent, ...observing });
}

/** Words that a login shell would take for something else, were they not quoted. */
export const oddWords = [
  "it's",
  '$(id)',
  '`id`',
  '!!',
  '',
  'a\nb',
  '\\',
  '"',
  '*',
  'ü',
  '#c',
  '~',
  '\r',
  '\t',
  '&',
  '\u0001',
];
