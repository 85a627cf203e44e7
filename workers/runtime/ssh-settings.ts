/** The configuration as the SSH layer wants it. */
import type { Lane } from '../../shared/operations/lanes.ts';
import type { Config, HostKeysConfig, SystemConfig } from '../../shared/platform/config/config.ts';
import type { CredentialProvider } from '../ssh/credentials/credential-provider.ts';
import { createSshCa } from '../ssh/credentials/ssh-ca.ts';
import { createSshService } from '../ssh/credentials/ssh-service.ts';
import { createStaticKeys, type StaticKey } from '../ssh/credentials/static-keys.ts';
import { type CertificateRoute, createUserCa } from '../ssh/credentials/user-ca.ts';
import type { UserTokens } from '../ssh/credentials/user-tokens.ts';
import type { HostKeyPolicy, SshSystemOptions } from '../ssh/options.ts';

/** Room above FirecREST's file limit for what a command prints besides. */
const outputOverheadBytes = 64 * 1024;

/** The hosts of a system that workers log in to: the login node, and the data-transfer node where there is one. */
export function sshHostsOf(system: SystemConfig): SshSystemOptions[] {
  const login = sshSystemOptions(system);
  const { node } = system.transfers;
  if (node === null) return [login];
  const { host, port, hostKeys } = node;
  return [login, { ...login, name: transferNodeOf(system), host, port, hostKeys: hostKeyPolicy(hostKeys) }];
}

/** The name by which the SSH layer knows the host where an operation of that lane is carried out. */
export function sshHostOf(system: SystemConfig, lane: Lane): string {
  const { node, mover } = system.transfers;
  return lane === 'move' && node !== null && mover !== 'job' ? transferNodeOf(system) : system.name;
}

const transferNodeMark = '/transfers';

/** No system has such a name, which is one part of a path. */
function transferNodeOf({ name }: Pick<SystemConfig, 'name'>): string {
  return `${name}${transferNodeMark}`;
}

/** The system that such a host is of. */
export function systemAt(host: string): string {
  return host.endsWith(transferNodeMark) ? host.slice(0, -transferNodeMark.length) : host;
}

/** The provider for one of those hosts: who may log in to a system may at each of its hosts, by the same key. */
export function credentialsAt(host: string, provider: CredentialProvider): CredentialProvider {
  return { credentialFor: (_host, username) => provider.credentialFor(systemAt(host), username) };
}

export function sshSystemOptions(system: SystemConfig): SshSystemOptions {
  const { ssh } = system;
  return {
    name: system.name,
    host: ssh.host,
    port: ssh.port,
    ...(ssh.proxy
      ? { proxy: { host: ssh.proxy.host, port: ssh.proxy.port, hostKeys: hostKeyPolicy(ssh.proxy.hostKeys) } }
      : {}),
    hostKeys: hostKeyPolicy(ssh.hostKeys),
    connectTimeoutMs: ssh.timeout.connectMs,
    loginTimeoutMs: ssh.timeout.loginMs,
    commandTimeoutMs: ssh.timeout.commandMs,
    idleTimeoutMs: ssh.timeout.idleMs,
    keepAliveMs: ssh.timeout.keepAliveMs,
    connectionsMax: ssh.connectionsMax,
    connectionsPerUserMax: ssh.connectionsPerUserMax,
    channelsPerConnectionMax: ssh.channelsPerConnectionMax,
    slotWaitMs: ssh.slotWaitMs,
    outputBytesMax: system.dataOperation.maxOpsFileSizeBytes + outputOverheadBytes,
  };
}

function hostKeyPolicy(keys: HostKeysConfig): HostKeyPolicy {
  if (keys.acceptAny) return { mode: 'accept-any' };
  return {
    mode: 'verify',
    pinnedKeys: keys.pinned,
    authorities: keys.hostCa,
    ...(keys.knownHostsFile === null ? {} : { knownHostsFile: keys.knownHostsFile }),
  };
}

/** The provider the configuration names. The two HTTP services ask for the tokens of users. */
export function createCredentials(
  { sshCredentials: settings, systems }: Pick<Config, 'sshCredentials' | 'systems'>,
  tokens: UserTokens,
): CredentialProvider {
  switch (settings.type) {
    case 'static-keys':
      return createStaticKeys(revealKeys(settings.keys));
    case 'user-ca':
      return createUserCa({
        ...('agentSocket' in settings.key
          ? { agentSocket: settings.key.agentSocket, caPublicKey: settings.key.publicKey }
          : { caPrivateKey: settings.key.privateKey.reveal(), passphrase: settings.key.passphrase?.reveal() }),
        validityMs: settings.validitySeconds * 1_000,
        ...(settings.sourceAddress === null ? {} : { sourceAddress: settings.sourceAddress }),
        ...(settings.jumpSourceAddress === null ? {} : { jumpSourceAddress: settings.jumpSourceAddress }),
        routeOf: routesOf(systems),
      });
    case 'ssh-service':
    case 'ssh-ca': {
      const create = settings.type === 'ssh-ca' ? createSshCa : createSshService;
      return create({ url: settings.url, connectionsMax: settings.maxConnections, tokens });
    }
  }
}

function routesOf(systems: readonly SystemConfig[]): (system: string) => CertificateRoute {
  const routes = new Map(
    systems.map(({ name, ssh: { proxy, sourceAddress } }) => [
      name,
      { hasJumpHost: proxy !== null, ...(sourceAddress === null ? {} : { sourceAddress }) },
    ]),
  );
  return (system) => routes.get(system) ?? { hasJumpHost: false };
}

function revealKeys(
  keys: Extract<Config['sshCredentials'], { type: 'static-keys' }>['keys'],
): Record<string, StaticKey> {
  return Object.fromEntries(
    Object.entries(keys).map(([username, { privateKey, passphrase, certificate }]) => [
      username,
      {
        privateKey: privateKey.reveal(),
        ...(passphrase ? { passphrase: passphrase.reveal() } : {}),
        ...(certificate === null ? {} : { certificate }),
      },
    ]),
  );
}
