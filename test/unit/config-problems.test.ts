import { describe, expect, it } from 'vitest';
import { loadText, refusal, small } from './config-support.ts';

/** The one problem of the small configuration after a change. */
function problemAfter(from: string, to: string) {
  expect(small).toContain(from);
  const { problems } = refusal(() => loadText(small.replace(from, to)));
  expect(problems).toHaveLength(1);
  return problems[0];
}

describe('a mistake in the configuration is named with key and line', () => {
  it('loads without it', () => {
    expect(loadText(small).warnings).toEqual([]);
  });

  it.each([
    ['a port out of range', 'port: 22', 'port: -22', 'clusters[0].ssh.port', 9, 'must be at least 1'],
    ['a port that is no number', 'port: 22', 'port: ssh', 'clusters[0].ssh.port', 9, 'must be a'],
    ['a fraction', 'port: 22', 'port: 22.5', 'clusters[0].ssh.port', 9, 'must be a whole number'],
    ['a missing host', '      host: login.one.example.org\n', '', 'clusters[0].ssh.host', 7, 'is required'],
    ['a version without quotes', '"24.11.0"', '24.11', 'clusters[0].scheduler.version', 10, 'put quotes'],
    ['an unknown scheduler', 'type: slurm', 'type: lsf', 'clusters[0].scheduler.type', 10, 'slurm, pbs, process'],
    [
      'rest mode without address',
      '{type: slurm',
      '{connection_mode: rest, type: slurm',
      'clusters[0].scheduler.api_url',
      10,
      'is required when connection_mode is rest',
    ],
    [
      'PBS over REST',
      '{type: slurm',
      '{connection_mode: rest, api_url: "http://x", type: pbs',
      'clusters[0].scheduler.connection_mode',
      10,
      'must be ssh',
    ],
    ['an unknown kind of credentials', 'SSHStaticKeys', 'SSHKeys', 'ssh_credentials.type', 2, 'SSHStaticKeys, UserCA'],
    [
      'an unknown transfer',
      'probing: {}',
      'data_operation: {data_transfer: {service_type: ftp}}',
      'clusters[0].data_operation.data_transfer.service_type',
      12,
      's3, streamer, wormhole',
    ],
    [
      'URLs that live too long',
      'probing: {}',
      'data_operation: {data_transfer: {service_type: s3, name: a, private_url: "http://a", public_url: "http://a", access_key_id: a, secret_access_key: a, region: a, ttl: 604801}}',
      'clusters[0].data_operation.data_transfer.ttl',
      12,
      'must be at most 604800',
    ],
    [
      'ports in the wrong order',
      'probing: {}',
      'data_operation: {data_transfer: {service_type: streamer, port_range: [9, 8]}}',
      'clusters[0].data_operation.data_transfer.port_range',
      12,
      'end before it begins',
    ],
    [
      'a relative file system',
      'probing: {}',
      'file_systems: [{path: home, data_type: users}]',
      'clusters[0].file_systems[0].path',
      12,
      'absolute',
    ],
    [
      'a secret that is a number',
      'secret-text-of-probe',
      '12345',
      'clusters[0].service_account.secret',
      11,
      'quotes around a number',
    ],
    [
      'an unknown key at the top',
      'goldcrest:',
      'golcrest: {}\ngoldcrest:',
      'golcrest',
      13,
      'did you mean "goldcrest"?',
    ],
    [
      'an unknown key of ours',
      '  host_keys:',
      '  api: {prot: 1}\n  host_keys:',
      'goldcrest.api.prot',
      19,
      'did you mean "port"?',
    ],
    [
      'an unknown key of ours, near nothing',
      '  host_keys:',
      '  api: {wavelength: 1}\n  host_keys:',
      'goldcrest.api.wavelength',
      19,
      'known here: host, port',
    ],
    [
      'a duration without unit',
      '  host_keys:',
      '  tasks: {keep: 7}\n  host_keys:',
      'goldcrest.tasks.keep',
      19,
      'must be a text',
    ],
    [
      'a duration out of range',
      '  host_keys:',
      '  tasks: {keep: 1s}\n  host_keys:',
      'goldcrest.tasks.keep',
      19,
      'from 1m to 365d',
    ],
    [
      'a size without unit',
      '  host_keys:',
      '  api: {body_size_max: "1"}\n  host_keys:',
      'goldcrest.api.body_size_max',
      19,
      'number and a unit',
    ],
    [
      'a negative limit',
      '  host_keys:',
      '  tasks: {attempts_max: -1}\n  host_keys:',
      'goldcrest.tasks.attempts_max',
      19,
      'must be at least 1',
    ],
    [
      'a section for what this version does not do',
      '  host_keys:',
      '  chainz: {attempts_max: 3}\n  host_keys:',
      'goldcrest.chainz',
      19,
      'unknown key',
    ],
    [
      'a host key that is none',
      'known_hosts_file: /etc/goldcrest/known_hosts',
      'pinned: [AAAA]',
      'goldcrest.host_keys.pinned[0]',
      20,
      'ssh-ed25519',
    ],
    ['a Redis address of another kind', 'redis://:password-text@', 'http://', 'goldcrest.redis.url', 15, 'redis://'],
    [
      'an algorithm with a shared key',
      'audiences: [goldcrest]',
      'audiences: [goldcrest]\n      algorithms: [HS256]',
      'goldcrest.issuers[0].algorithms[0]',
      19,
      'RS256',
    ],
    [
      'settings of a system that is not there',
      '  host_keys:',
      '  systems: {ome: {}}\n  host_keys:',
      'goldcrest.systems.ome',
      19,
      'did you mean "one"?',
    ],
    [
      'a worker for a system that is not there',
      '  host_keys:',
      '  worker: {systems: [two]}\n  host_keys:',
      'goldcrest.worker.systems',
      19,
      'no system is called "two"',
    ],
    [
      'a worker for work of a kind that is not there',
      '  host_keys:',
      '  worker: {lanes: [bulk]}\n  host_keys:',
      'goldcrest.worker.lanes[0]',
      19,
      'move',
    ],
    [
      'a secret file that is not there',
      'secret-text-of-probe',
      'secret_file:/run/none',
      'clusters[0].service_account.secret',
      11,
      'cannot read the secret file /run/none: no such file',
    ],
    [
      'a key in two spellings',
      'port: 22',
      'port: 22\n      max_clients: 1\n      maxClients: 2',
      'clusters[0].ssh.maxClients',
      11,
      'given twice',
    ],
  ])('%s', (_what, from, to, key, line, message) => {
    const problem = problemAfter(from, to);
    expect(problem).toMatchObject({ key, place: `site.yaml:${line}` });
    expect(problem?.message).toContain(message);
  });

  it('two systems of the same name, whatever their capitals', () => {
    const second = '  - {name: ONE, ssh: {host: h, port: 22}, scheduler: {type: slurm, version: "1"}}\n';
    const { problems } = refusal(() => loadText(small.replace('goldcrest:\n', `${second}goldcrest:\n`)));
    expect(problems).toEqual([
      { key: 'clusters[1].name', place: 'site.yaml:13', message: '"one" is also defined at site.yaml:6' },
    ]);
  });

  it('text that is not YAML, by its line and without quoting it', () => {
    const { message } = refusal(() => loadText('a: "secret-text\nb: ]['));
    expect(message).toMatch(/site\.yaml:\d/);
    expect(message).not.toContain('secret-text');
  });

  it('a file that holds no mapping, and one that is not there', () => {
    expect(refusal(() => loadText('- 1')).message).toContain('must hold a mapping');
    expect(refusal(() => loadText(small, { GOLDCREST_OVERLAY: 'none.yaml' })).message).toContain('none.yaml');
    expect(refusal(() => loadText('clusters: "path:/none"')).problems[0]).toMatchObject({
      key: 'clusters',
      place: 'site.yaml:1',
    });
  });

  it('a file whose aliases unfold without end', () => {
    const levels = Array.from(
      { length: 9 },
      (_, at) => `l${at + 1}: &l${at + 1} [${Array(9).fill(`*l${at}`).join(', ')}]`,
    );
    const { message } = refusal(() => loadText(`l0: &l0 x\n${levels.join('\n')}\n`));
    expect(message).toContain('aliases');
  });

  it('every mistake at once', () => {
    const text = small.replace('port: 22', 'port: 0').replace('type: slurm', 'type: lsf').replace('redis:', 'reddis:');
    expect(refusal(() => loadText(text)).problems.map(({ key }) => key)).toEqual([
      'clusters[0].ssh.port',
      'clusters[0].scheduler.type',
      'goldcrest.reddis',
    ]);
  });
});

describe('a private key that stands in the configuration itself', () => {
  const inline = small.replace('"secret_file:/run/keys/alice"', 'inline-text-of-the-key');
  const ca = 'ssh_credentials: {type: UserCA, private_key: inline-text-of-the-key}\nclusters:';

  it('is refused at the start with its line, and not shown; the YAML to paste names a file', () => {
    const { problems, snippet, message } = refusal(() => loadText(inline));
    expect(problems).toEqual([
      {
        ...{ key: 'ssh_credentials.keys.alice.private_key', place: 'site.yaml:4' },
        message: 'a private key may not stand in the configuration itself: put it into a file, and name that here',
      },
    ]);
    expect(message).not.toContain('inline-text-of-the-key');
    const files = { over: snippet ?? '', '/run/secrets/ssh_key_of_alice': 'key-text' };
    const { config, warnings } = loadText(inline, { GOLDCREST_OVERLAY: 'over' }, files);
    const keys = config.sshCredentials.type === 'static-keys' ? config.sshCredentials.keys : {};
    expect([keys.alice?.privateKey.reveal(), warnings]).toEqual(['key-text', []]);
  });

  it('is refused of a CA too, wherever it is configured, and from the environment', () => {
    const shared = small.replace(/ssh_credentials:[\s\S]*?clusters:/, ca);
    const ours = small.replace('  host_keys:', '  ssh_credentials: {type: UserCA, private_key: inline}\n  host_keys:');
    const env = { GOLDCREST_SSH_CREDENTIALS__TYPE: 'UserCA', GOLDCREST_SSH_CREDENTIALS__PRIVATE_KEY: 'inline' };
    const keysOf = (load: () => unknown) => refusal(load).problems.map(({ key }) => key);
    expect(keysOf(() => loadText(shared))).toEqual(['ssh_credentials.private_key']);
    expect(keysOf(() => loadText(ours))).toEqual(['goldcrest.ssh_credentials.private_key']);
    expect(keysOf(() => loadText(small, env))).toEqual(['goldcrest.ssh_credentials.private_key']);
  });
});

describe('safety that is given up', () => {
  it('is possible only by name and comes back as a warning with its line', () => {
    const text = small
      .replace('known_hosts_file: /etc/goldcrest/known_hosts', 'accept_any: true')
      .replace('audiences: [goldcrest]', 'accept_any_audience: true')
      .replace('127.0.0.1:6379/0', '127.0.0.1:6379/0\n    require_durability: no');
    const { config, warnings } = loadText(text);
    expect(warnings.map(({ key }) => key).sort()).toEqual([
      'goldcrest.issuers[0].accept_any_audience',
      'goldcrest.redis.require_durability',
      'goldcrest.systems.one.host_keys.accept_any',
    ]);
    expect(config.systems[0]?.ssh.hostKeys.acceptAny).toBe(true);
    expect(config.authentication.issuers[0]?.acceptAnyAudience).toBe(true);
    expect(config.redis.requireDurability).toBe(false);
  });

  it('is not asked for where an authority vouches for the hosts', () => {
    const ca = 'host_ca: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqSx1Yb8C2mqHq9wGxW7RZb1T6mXbJ0N0A5Vt8Vn1cD';
    const file = 'known_hosts_file: /etc/goldcrest/known_hosts';
    const { config, warnings } = loadText(small.replace(file, ca));
    expect([config.systems[0]?.ssh.hostKeys.hostCa.length, warnings]).toEqual([1, []]);
  });

  it('is not possible by an empty list', () => {
    const text = small
      .replace('known_hosts_file: /etc/goldcrest/known_hosts', 'pinned: []')
      .replace('audiences: [goldcrest]', 'audiences: []');
    expect(refusal(() => loadText(text)).problems.map(({ key }) => key)).toEqual([
      'goldcrest.issuers[0].audiences',
      'goldcrest.systems.one.host_keys',
    ]);
  });
});

describe('the addresses that certificates are for', () => {
  const withAddress = (list: string) =>
    loadText(
      small.replace(
        /ssh_credentials:[\s\S]*?clusters:/,
        `ssh_credentials: {type: UserCA, agent_socket: /a, public_key: ssh-ed25519 AAAA, source_address: "${list}"}\nclusters:`,
      ),
    ).config.sshCredentials;

  it.each(['192.0.2.7', '192.0.2.7, 10.1.0.0/16,2001:db8::/32'])('are taken as OpenSSH does: %s', (list) => {
    expect(withAddress(list)).toMatchObject({ sourceAddress: list.replaceAll(' ', '') });
  });

  it.each(['10.1.0.1/16', '10.1', 'login.example.org', '192.0.2.7,,', '192.0.2.0/33', '!192.0.2.7'])(
    'are refused where OpenSSH would refuse every login for them: %s',
    (list) => {
      expect(refusal(() => withAddress(list)).problems.map(({ key }) => key)).toEqual([
        'ssh_credentials.source_address',
      ]);
    },
  );
});
