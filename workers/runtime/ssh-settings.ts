/** The configuration as the SSH layer wants it. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Config, HostKeysConfig, SystemConfig } from '../../shared/platform/config/config.ts';
import type { CredentialProvider } from '../ssh/credentials/credential-provider.ts';
import { createStaticKeys, type StaticKey } from '../ssh/credentials/static-keys.ts';
import { createUserCa } from '../ssh/credentials/user-ca.ts';
import type { HostKeyPolicy, SshSystemOptions } from '../ssh/options.ts';

/** Room above FirecREST's file limit for what a command prints besides. */
const outputOverheadBytes = 64 * 1024;

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
    ...(keys.knownHostsFile === null ? {} : { knownHostsFile: keys.knownHostsFile }),
  };
}

/** The provider the configuration names. The two HTTP services need the user's token and come with trust. */
export function createCredentials(settings: Config['sshCredentials']): CredentialProvider {
  switch (settings.type) {
    case 'static-keys':
      return createStaticKeys(revealKeys(settings.keys));
    case 'user-ca':
      return createUserCa({
        caPrivateKey: settings.privateKey.reveal(),
        ...(settings.passphrase ? { passphrase: settings.passphrase.reveal() } : {}),
        validityMs: settings.validitySeconds * 1_000,
        ...(settings.sourceAddress === null ? {} : { sourceAddress: settings.sourceAddress }),
      });
    default:
      return {
        async credentialFor() {
          throw new BrokerError(
            'NotSupported',
            `SSH credentials of type ${settings.type} are not supported by this version; use static keys or a user CA.`,
          );
        },
      };
  }
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
