/** What the configuration says of logins reaches the SSH layer: whom to believe, and which certificates to make. */
import { describe, expect, it } from 'vitest';
import { newPrivateKeyText } from '../../shared/ssh/openssh-key.ts';
import {
  createCredentials,
  credentialsAt,
  sshHostOf,
  sshHostsOf,
  sshSystemOptions,
} from '../../workers/runtime/ssh-settings.ts';
import { createUserTokens } from '../../workers/ssh/credentials/user-tokens.ts';
import { readCertificateText } from '../../workers/ssh/read-certificate.ts';
import { loadText, small } from './config-support.ts';

const authority = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqSx1Yb8C2mqHq9wGxW7RZb1T6mXbJ0N0A5Vt8Vn1cD';
const behind = `
  - name: two
    ssh: {host: login.two.example.org, port: 22, proxy_host: jump.example.org, proxy_port: 2222}
    scheduler: {type: slurm, version: "24.11.0"}
    service_account: {client_id: probe, secret: secret-text-of-probe}
    probing: {}
goldcrest:
  systems: {two: {source_address: 192.0.2.0/24, proxy_host_keys: {host_ca: "${authority}"}}}`;
const withUserCa = small
  .replace(
    /ssh_credentials:[\s\S]*?clusters:/,
    'ssh_credentials: {type: UserCA, private_key: "secret_file:/ca", source_address: 10.0.0.1, jump_source_address: 10.0.0.2}\nclusters:',
  )
  .replace('\ngoldcrest:', behind);
const { config, warnings } = loadText(withUserCa, {}, { '/ca': newPrivateKeyText() });

describe('the settings of a login', () => {
  it('name the authorities of hosts, each for its own host', () => {
    expect(warnings).toEqual([]);
    const [one, two] = config.systems.map(sshSystemOptions);
    const file = '/etc/goldcrest/known_hosts';
    expect(one?.hostKeys).toMatchObject({ authorities: [], knownHostsFile: file });
    expect(two?.hostKeys).toMatchObject({ authorities: [], knownHostsFile: file });
    expect(two?.proxy?.hostKeys).toEqual({ mode: 'verify', pinnedKeys: [], authorities: [authority] });
  });

  it('make one certificate for a login, a second one for a jump host alone, each from where its host sees us', async () => {
    const provider = createCredentials(
      config,
      createUserTokens(async () => null),
    );
    const addressIn = (text = '') =>
      /\d+(\.\d+){3}(\/\d+)?/.exec(readCertificateText(text).signed.toString('latin1'))?.[0];
    const direct = await provider.credentialFor('one', 'alice');
    expect([addressIn(direct.certificate), direct.jumpCertificate]).toEqual(['10.0.0.1', undefined]);
    const { certificate, jumpCertificate } = await provider.credentialFor('two', 'alice');
    expect([addressIn(certificate), addressIn(jumpCertificate)]).toEqual(['192.0.2.0/24', '10.0.0.2']);
    const permits = (text = '') => readCertificateText(text).signed.includes('permit-port-forwarding');
    expect([direct.certificate, certificate, jumpCertificate].map(permits)).toEqual([false, false, true]);
    expect(readCertificateText(jumpCertificate ?? '').criticalOptions).toEqual(['force-command', 'source-address']);
    expect(readCertificateText(certificate ?? '')).toMatchObject({
      principals: ['alice'],
      criticalOptions: ['source-address'],
    });
  });

  it('have a data-transfer node in the place of the login node for work on files, with the same credentials', async () => {
    const load = (mover: string) => {
      const transfers = `transfers: {mover: ${mover}, node: {host: dtn.example.org, host_keys: {host_ca: "${authority}"}}}`;
      return loadText(withUserCa.replace('two: {', `two: {${transfers}, `), {}, { '/ca': newPrivateKeyText() });
    };
    const { config: withNode } = load('stream');
    const system = withNode.systems.find(({ name }) => name === 'two') ?? expect.unreachable();
    const [login, node] = sshHostsOf(system);
    expect([login?.name, login?.host]).toEqual(['two', 'login.two.example.org']);
    expect(node).toMatchObject({
      ...login,
      name: node?.name,
      host: 'dtn.example.org',
      hostKeys: { authorities: [authority] },
    });
    expect([sshHostOf(system, 'move'), sshHostOf(system, 'interactive')]).toEqual([node?.name, 'two']);
    const provider = createCredentials(
      withNode,
      createUserTokens(async () => null),
    );
    const { certificate = '' } = await credentialsAt(node?.name ?? '', provider).credentialFor(
      node?.name ?? '',
      'alice',
    );
    expect(readCertificateText(certificate).signed.toString('latin1')).toContain('192.0.2.0/24');
    const { config: byJob, warnings: told } = load('job');
    expect(byJob.systems.map((each) => sshHostOf(each, 'move'))).toEqual(['one', 'two']);
    expect(told.map(({ key }) => key)).toEqual(['goldcrest.systems.two.transfers.node']);
  });

  it('make a fresh key for each of them', async () => {
    const provider = createCredentials(
      config,
      createUserTokens(async () => null),
    );
    const made = await Promise.all(Array.from({ length: 20 }, () => provider.credentialFor('one', 'alice')));
    expect(new Set(made.map(({ key }) => key.getPublicSSH().toString('base64'))).size).toBe(20);
    for (const { key, certificate = '' } of made) {
      expect(readCertificateText(certificate).publicKey.equals(key.getPublicSSH())).toBe(true);
    }
  });
});
