import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../shared/platform/config/load-config.ts';
import { inMemory, loadFixture, loadText, refusal } from './config-support.ts';

const load = () => loadFixture('firecrest-v2.yaml', 'goldcrest.overlay.yaml');

describe('a FirecREST v2 file', () => {
  it('is asked only for what safety needs, all of it in one message with YAML to paste', () => {
    const { problems, snippet, message } = refusal(() => loadFixture('firecrest-v2.yaml'));
    expect(problems.map(({ key }) => key)).toEqual([
      'goldcrest.redis.url',
      'goldcrest.issuers[0].issuer',
      'goldcrest.issuers[0].audiences',
      'ssh_credentials.keys.astroUser.private_key',
      'ssh_credentials.keys.probe.private_key',
      'goldcrest.systems.alpha-ssh.proxy_host_keys',
      ...['alpha-ssh', 'alpha-rest', 'alpha-hybrid', 'beta-pbs', 'gamma-defaults'].flatMap((name) => [
        `goldcrest.systems.${name}.host_keys`,
        ...(['alpha-rest', 'alpha-hybrid'].includes(name) ? [`goldcrest.systems.${name}.slurmrestd.jwt_key_file`] : []),
      ]),
    ]);
    for (const { key } of problems) expect(message).toContain(key);
    expect(message).toContain(snippet?.trimEnd());
  });

  it('loads when the pasted YAML is used as the overlay', () => {
    const text = readFileSync('test/fixtures/config/firecrest-v2.yaml', 'utf8');
    const snippet = refusal(() => loadText(text)).snippet ?? '';
    const keys = Object.fromEntries(['astroUser', 'probe'].map((user) => [`/run/secrets/ssh_key_of_${user}`, user]));
    const { config } = loadText(text, { GOLDCREST_OVERLAY: 'over.yaml' }, { 'over.yaml': snippet, ...keys });
    expect(config.systems).toHaveLength(5);
    expect(config.authentication.issuers[0]?.issuer).toBe('https://idp.example.org/realms/hpc');
  });

  it('is read unchanged where its private keys are in files', () => {
    const [text = '', over = ''] = ['firecrest-v2.yaml', 'goldcrest.overlay.yaml'].map((name) =>
      readFileSync(`test/fixtures/config/${name}`, 'utf8'),
    );
    const inFiles = text.replaceAll(/"inline-private-key-of-(\w+)"/g, '"secret_file:/run/keys/$1"');
    const withoutKeys = over.replace(/^ssh_credentials:[\s\S]*?(?=^clusters:)/m, '');
    const files = { over: withoutKeys, '/run/keys/astroUser': 'key of astroUser', '/run/keys/probe': 'key of probe' };
    const { config, warnings } = loadText(inFiles, { GOLDCREST_OVERLAY: 'over' }, files);
    const { sshCredentials } = config;
    const keys = sshCredentials.type === 'static-keys' ? Object.values(sshCredentials.keys) : [];
    expect(keys.map(({ privateKey }) => privateKey.reveal())).toEqual(['key of astroUser', 'key of probe']);
    expect(warnings.map(({ key }) => key)).toEqual(load().warnings.map(({ key }) => key));
  });

  it('has its keys that FirecREST ignores reported with key and line, transfers not served too', () => {
    expect(load().warnings).toEqual([
      {
        key: 'clusters[0].probing.startup_grace_period',
        place: 'test/fixtures/config/firecrest-v2.yaml:53',
        message: 'is not used',
      },
      {
        key: 'clusters[0].data_operation.probing',
        place: 'test/fixtures/config/firecrest-v2.yaml:70',
        message: 'is not used',
      },
      {
        key: 'clusters[1].data_operation.data_transfer',
        place: 'test/fixtures/config/firecrest-v2.yaml:106',
        message: expect.stringMatching(
          /^has no effect: a streamer has secrets; it needs goldcrest.tokens.sealing_keys/,
        ),
      },
      {
        key: 'clusters[3].data_operation.data_transfer',
        place: 'test/fixtures/config/firecrest-v2.yaml:136',
        message: expect.stringMatching(
          /^has no effect: a wormhole has secrets; it needs goldcrest.tokens.sealing_keys/,
        ),
      },
    ]);
  });

  it('keeps every value it sets, in the units of the code', () => {
    const system = load().config.systems[0];
    expect(system?.name).toBe('alpha-ssh');
    expect(system?.ssh.timeout).toEqual({
      connectMs: 6_000,
      loginMs: 7_000,
      commandMs: 8_000,
      idleMs: 90_000,
      keepAliveMs: 9_000,
    });
    expect(system?.ssh.proxy).toMatchObject({ host: 'jump.example.org', port: 2222 });
    expect(system?.scheduler).toMatchObject({
      type: 'slurm',
      connectionMode: 'ssh',
      version: '24.11.0',
      timeoutMs: 12_000,
    });
    expect(system?.fileSystems).toEqual([
      { path: '/home', dataType: 'users', defaultWorkDir: true },
      { path: '/capstor/scratch', dataType: 'scratch', defaultWorkDir: false },
    ]);
    expect(system?.dataOperation).toMatchObject({
      maxOpsFileSizeBytes: 1_048_576,
      jobDirectives: ['#SBATCH --nodes=1', '#SBATCH --account={account}'],
      dataTransfer: { type: 's3', ttlSeconds: 604_800, tenant: 'hpc', bucketLifecycleDays: 12 },
    });
    expect(system?.probing).toEqual({
      intervalMs: 60_000,
      services: {
        ssh: { timeoutMs: 5_000 },
        filesystem: { timeoutMs: 6_000 },
        scheduler: { timeoutMs: 7_000 },
        s3: { timeoutMs: 8_000 },
      },
    });
  });

  it('may use camelCase, aliases, text for numbers, YAML words for booleans, and merge keys', () => {
    const { config } = load();
    const [, rest, hybrid] = config.systems;
    expect(rest?.ssh).toMatchObject({ port: 22, connectionsMax: 50, timeout: { commandMs: 20_000, loginMs: 5_000 } });
    expect(rest?.scheduler).toMatchObject({ connectionMode: 'rest', apiVersion: '0.0.42', timeoutMs: 10_000 });
    expect(rest?.probing).toEqual({
      intervalMs: 120_000,
      services: { filesystem: { timeoutMs: 20_000 }, s3: { timeoutMs: 21_000 } },
    });
    expect(rest?.fileSystems[0]?.defaultWorkDir).toBe(true);
    expect(hybrid?.serviceAccount?.clientId).toBe('firecrest-probe');
    expect(hybrid?.dataOperation.dataTransfer).toMatchObject({
      type: 's3',
      name: 'staging-hybrid',
      region: 'eu-central-1',
    });
  });

  it('has the defaults of FirecREST where it says nothing', () => {
    const system = load().config.systems[4];
    expect(system?.ssh).toMatchObject({
      proxy: null,
      connectionsMax: 100,
      timeout: { connectMs: 5_000, loginMs: 5_000, commandMs: 5_000, idleMs: 60_000, keepAliveMs: 5_000 },
    });
    expect(system?.probing).toEqual({ intervalMs: 120_000, services: null });
    expect(system?.dataOperation).toEqual({
      maxOpsFileSizeBytes: 5_242_880,
      jobDirectives: [],
      dataTransfer: null,
    });
  });

  it('leaves usernames and scopes as they are spelled', () => {
    const { config } = load();
    expect(config.sshCredentials.type === 'static-keys' && Object.keys(config.sshCredentials.keys)).toEqual([
      'astroUser',
      'probe',
    ]);
    expect(config.authentication.issuers[0]?.scopes).toEqual({ openid: 'Sign in', hpcAccess: 'Use the systems' });
  });

  it('gives its authentication to the first issuer of the overlay', () => {
    expect(load().config.authentication.issuers).toEqual([
      {
        issuer: 'https://idp.example.org/realms/hpc',
        audiences: ['goldcrest'],
        acceptAnyAudience: false,
        jwksUrls: ['https://idp.example.org/realms/hpc/protocol/openid-connect/certs'],
        algorithms: ['RS256'],
        usernameClaim: 'uid',
        requiredScopes: ['hpcAccess'],
        clockSkewSeconds: 5,
        minimumLifeSeconds: 45,
        usernames: {},
        usernamePattern: null,
        dpop: 'off',
        dpopNonce: false,
        tokenUrl: 'https://idp.example.org/realms/hpc/protocol/openid-connect/token',
        tokenEndpointAuthMethod: 'client_secret_post',
        scopes: { openid: 'Sign in', hpcAccess: 'Use the systems' },
      },
    ]);
  });

  it('answers /status/systems as it would, with its secrets masked', () => {
    const [s3, streamer, , wormhole, defaults] = load().config.systems.map(({ firecrest }) => firecrest);
    expect(s3?.dataOperation).toEqual({
      datatransfer_jobs_directives: ['#SBATCH --nodes=1', '#SBATCH --account={account}'],
      max_ops_file_size: 1_048_576,
      data_transfer: {
        serviceType: 's3',
        name: 'staging',
        privateUrl: '**********',
        publicUrl: 'https://s3.example.org',
        accessKeyId: '**********',
        secretAccessKey: '**********',
        region: 'eu-central-1',
        ttl: 604_800,
        tenant: 'hpc',
        multipart: { use_split: false, max_part_size: 1_073_741_824, parallel_runs: 4, tmp_folder: 'tmp' },
        bucketLifecycleConfiguration: { days: 12 },
      },
    });
    expect(streamer?.scheduler).toMatchObject({ apiUrl: 'http://slurmrestd.alpha.example.org:6820/', timeout: null });
    // What is not served is not told.
    expect(streamer?.dataOperation.data_transfer).toBeNull();
    expect(wormhole?.dataOperation.data_transfer).toBeNull();
    expect(defaults?.dataOperation.data_transfer).toBeNull();
    expect(defaults?.probing).toEqual({ services: null, intervalCheck: 120 });
  });

  it('has its streamer and its wormhole where there is a key to seal their secrets, and a command is named', () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    const env = { GOLDCREST_TOKENS__SEALING_KEYS__0__ID: 'k1', GOLDCREST_TOKENS__SEALING_KEYS__0__KEY: key };
    const [, system] = loadFixture('firecrest-v2.yaml', 'goldcrest.overlay.yaml', env).config.systems;
    const told = { serviceType: 'streamer', portRange: [5700, 5710] };
    expect(system?.firecrest.dataOperation.data_transfer).toMatchObject(told);
    expect(system?.dataOperation.dataTransfer).toMatchObject({ type: 'streamer', portRange: [5700, 5710] });
    const { config: unnamed, warnings } = loadFixture('firecrest-v2.yaml', 'goldcrest.overlay.yaml', env);
    const name = unnamed.systems[3]?.name ?? '';
    expect(unnamed.systems[3]?.dataOperation.dataTransfer).toBeNull();
    expect(warnings.map(({ message }) => message)).toContainEqual(
      expect.stringContaining(`goldcrest.systems.${name}.wormhole.command`),
    );
    const named = { [`GOLDCREST_SYSTEMS__${name.toUpperCase()}__WORMHOLE__COMMAND`]: '/opt/wormhole' };
    const { config } = loadFixture('firecrest-v2.yaml', 'goldcrest.overlay.yaml', { ...env, ...named });
    expect(config.systems[3]?.dataOperation.dataTransfer).toMatchObject({ type: 'wormhole', command: '/opt/wormhole' });
    expect(config.systems[3]?.firecrest.dataOperation.data_transfer).toEqual({
      serviceType: 'wormhole',
      pypiIndexUrl: null,
    });
  });

  it('may name a key service, without a limit of connections', () => {
    const file = 'test/fixtures/config/firecrest-v2.ssh-service.yaml';
    const settings = {
      YAML_CONFIG_FILE: file,
      GOLDCREST_REDIS__URL: 'redis://127.0.0.1',
      GOLDCREST_ISSUERS__0__ISSUER: 'https://idp.example.org',
      GOLDCREST_ISSUERS__0__AUDIENCES: 'goldcrest',
      GOLDCREST_SYSTEMS__DELTA__HOST_KEYS__KNOWN_HOSTS_FILE: '/etc/known_hosts',
    };
    const asked = refusal(() => loadConfig({ env: settings }));
    expect(asked.problems).toMatchObject([{ key: 'goldcrest.tokens.sealing_keys', place: 'not given' }]);
    expect(asked.message).toContain('key: secret_file:/run/secrets/goldcrest_token_key');
    const seal = (key: string) => ({
      ...settings,
      GOLDCREST_TOKENS__SEALING_KEYS__0__ID: 'k1',
      GOLDCREST_TOKENS__SEALING_KEYS__0__KEY: key,
    });
    const { config, warnings } = loadConfig({ env: seal(Buffer.alloc(32, 7).toString('base64')) });
    expect(config.sshCredentials).toEqual({
      type: 'ssh-service',
      url: 'https://keys.example.org',
      maxConnections: 1_000,
    });
    expect(config.tokens.sealingKeys).toMatchObject([{ id: 'k1' }]);
    expect(warnings).toEqual([]);
    expect(refusal(() => loadConfig({ env: seal('c2hvcnQ=') })).problems).toMatchObject([
      { key: 'goldcrest.tokens.sealing_keys[0].key', message: 'must be base64 of 32 bytes' },
    ]);
  });

  it('may keep its clusters in a folder, and is asked for the OpenFGA store behind its authorization', () => {
    const keys = refusal(() => loadFixture('firecrest-v2.ssh-ca.yaml')).problems.map(({ key }) => key);
    expect(keys).toContain('goldcrest.authorization.store_id');
    expect(keys).toContain('goldcrest.systems.epsilon.host_keys');
    expect(keys).toContain('goldcrest.systems.zeta.host_keys');
  });

  it('names the file of the folder in which a mistake stands', () => {
    const files = { '/c/a.yaml': 'name: a\nssh: {host: h, port: 0}\nscheduler: {type: slurm, version: "1"}\n' };
    const text = 'clusters: "path:/c"\n';
    expect(refusal(() => loadText(text, {}, files)).problems).toEqual([
      { key: 'clusters[0].ssh.port', place: '/c/a.yaml:2', message: 'must be at least 1' },
    ]);
  });

  it('is found by GOLDCREST_CONFIG before FirecREST’s own variables', () => {
    const files = inMemory({ a: 'x: 1', b: 'y: 1', c: 'z: 1' });
    const keysWith = (env: Record<string, string>) =>
      refusal(() => loadConfig({ env, files })).problems.map(({ key }) => key);
    expect(keysWith({ GOLDCREST_CONFIG: 'a', YAML_CONFIG_FILE: 'b', INPUT_YAML_CONFIG_FILE: 'c' })).toEqual(['x']);
    expect(keysWith({ YAML_CONFIG_FILE: 'b', INPUT_YAML_CONFIG_FILE: 'c' })).toEqual(['y']);
    expect(keysWith({ INPUT_YAML_CONFIG_FILE: 'c' })).toEqual(['z']);
    expect(refusal(() => loadConfig({ env: {}, files })).message).toContain('GOLDCREST_CONFIG');
  });
});
