import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { stalePages } from '../../docs/generators.ts';
import { loadConfig } from '../../shared/platform/config/load-config.ts';
import { diskReader } from '../../shared/platform/config/read-files.ts';
import { findUnsupported, findWithoutEffect } from '../../shared/platform/config/unsupported.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { loadFixture, loadText, refusal, small } from './config-support.ts';

describe('the environment', () => {
  it('wins over files, in the section of Goldcrest and in FirecREST’s keys', () => {
    const { config, warnings } = loadText(small, {
      GOLDCREST_REDIS__URL: 'rediss://other:6380',
      GOLDCREST_API__PORT: '8123',
      GOLDCREST_REDIS__REQUIRE_DURABILITY: 'true',
      GOLDCREST_TASKS__KEEP: '1h',
      GOLDCREST_ISSUERS__0__AUDIENCES: '[a, b]',
      GOLDCREST_LOGGER__ENABLE_TRACING_LOG: 'yes',
      GOLDCREST_SYSTEMS__ONE__SSH__TIMEOUT__LOGIN: '9',
      GOLDCREST_SYSTEMS__ONE__SLOT_WAIT: '7s',
    });
    expect(warnings).toEqual([]);
    expect(config.redis.url.reveal()).toBe('rediss://other:6380');
    expect(config.api.port).toBe(8123);
    expect(config.tasks.keepMs).toBe(3_600_000);
    expect(config.authentication.issuers[0]?.audiences).toEqual(['a', 'b']);
    expect(config.log.tracing).toBe(true);
    expect(config.systems[0]?.ssh.timeout.loginMs).toBe(9_000);
    expect(config.systems[0]?.ssh.slotWaitMs).toBe(7_000);
  });

  it('reaches a system whose name has hyphens', () => {
    const { config } = loadText(small.replace('name: one', 'name: one-two.three'), {
      GOLDCREST_SYSTEMS__ONE_TWO_THREE__SSH__PORT: '2200',
      GOLDCREST_SYSTEMS__ONE_TWO_THREE__CONNECTIONS_PER_USER_MAX: '1',
    });
    expect(config.systems[0]?.ssh).toMatchObject({ port: 2200, connectionsPerUserMax: 1 });
  });

  it('is named as the place of a mistake', () => {
    const { problems } = refusal(() => loadText(small, { GOLDCREST_API__PROT: '1', GOLDCREST_API__PORT: '-1' }));
    expect(problems).toEqual([
      { key: 'goldcrest.api.port', place: 'environment GOLDCREST_API__PORT', message: 'must be at least 0' },
      {
        key: 'goldcrest.api.prot',
        place: 'environment GOLDCREST_API__PROT',
        message: 'unknown key; did you mean "port"?',
      },
    ]);
  });

  it('may hold what Kubernetes puts there, and a setting with too few underscores is pointed out', () => {
    const { warnings } = loadText(small, {
      GOLDCREST_PORT: 'tcp://10.0.0.1:8000',
      GOLDCREST_API_SERVICE_HOST: '10.0.0.1',
      GOLDCREST_API_PORT: 'tcp://10.0.0.1:8000',
      GOLDCREST_API_PORT_8000_TCP_ADDR: '10.0.0.1',
      GOLDCREST_REDIS_URL: 'redis://elsewhere',
    });
    expect(warnings.map(({ key }) => key)).toEqual(['GOLDCREST_REDIS_URL']);
  });

  it('gives FirecREST’s own variables where the file is silent, and only there', () => {
    expect(loadText(small, { APIS_ROOT_PATH: '/v2/' }).config.api.rootPath).toBe('/v2');
    expect(loadText(`apis_root_path: /file\n${small}`, { APIS_ROOT_PATH: '/v2' }).config.api.rootPath).toBe('/file');
    expect(loadText(small, { APP_DEBUG: '1' }).config.log.level).toBe('debug');
  });
});

describe('an overlay', () => {
  it('is merged key by key, systems by name, lists replaced', () => {
    const { config } = loadFixture('firecrest-v2.yaml', 'goldcrest.overlay.yaml');
    const [first, second] = config.systems;
    expect(config.systems).toHaveLength(5);
    expect(first?.ssh.connectionsMax).toBe(250);
    expect(first?.ssh).toMatchObject({ host: 'login.alpha.example.org', connectionsPerUserMax: 2, slotWaitMs: 10_000 });
    expect(first?.ssh.hostKeys.pinned).toHaveLength(1);
    expect(first?.ssh.proxy?.hostKeys.knownHostsFile).toBe('/etc/goldcrest/known_hosts');
    expect(second?.ssh.hostKeys.knownHostsFile).toBe('/etc/goldcrest/known_hosts');
    expect(config.tasks.keepMs).toBe(2 * 86_400_000);
    expect(first?.serviceAccount).toMatchObject({ clientId: 'firecrest-probe', username: 'probe' });
  });

  it('takes a value of the file away with a key that has none, so that the default holds', () => {
    const base = small.replace('  host_keys:', '  api: {port: 9000}\n  host_keys:');
    const { config } = loadText(base, { GOLDCREST_OVERLAY: 'over' }, { over: 'goldcrest: {api: {port: }}' });
    expect(config.api.port).toBe(8000);
  });

  it('may add a system without batch system, and the CA key that workers sign with', () => {
    const over = `
clusters:
  - {name: bench, ssh: {host: 127.0.0.1, port: 22}, scheduler: {type: process}}
goldcrest:
  ssh_credentials: {type: UserCA, private_key: "secret_file:/ca", validity_seconds: 60}
`;
    const { config } = loadText(small, { GOLDCREST_OVERLAY: 'over' }, { over, '/ca': 'ca-key-text\n' });
    expect(config.systems.map(({ name, scheduler }) => [name, scheduler.type])).toEqual([
      ['one', 'slurm'],
      ['bench', 'process'],
    ]);
    expect(config.systems[1]?.serviceAccount).toBeNull();
    expect(config.sshCredentials).toMatchObject({ type: 'user-ca', validitySeconds: 60, sourceAddress: null });
    const { key } = config.sshCredentials as Extract<typeof config.sshCredentials, { type: 'user-ca' }>;
    expect('privateKey' in key && key.privateKey.reveal()).toBe('ca-key-text');
  });
});

describe('a secret', () => {
  const secrets = [
    'inline-private-key-of-astroUser',
    'inline-passphrase-of-astroUser',
    'inline-private-key-of-probe',
    'private-key-of-astroUser-in-a-file',
    'private-key-of-probe-in-a-file',
    'inline-service-account-secret',
    'inline-access-key-id',
    'inline-secret-access-key',
    'inline-redis-password',
    's3.internal',
  ];

  it('is in no printed form of the configuration', () => {
    const { config, warnings } = loadFixture('firecrest-v2.yaml', 'goldcrest.overlay.yaml');
    const printed = [
      JSON.stringify(config),
      inspect(config, { depth: 20, showHidden: true }),
      inspect(structuredClone(JSON.parse(JSON.stringify(config))), { depth: 20 }),
      JSON.stringify(warnings),
    ];
    for (const text of printed) for (const secret of secrets) expect(text).not.toContain(secret);
  });

  it('is in no message about a mistake beside it, nor about a mistake in it', () => {
    const broken = small
      .replace('password-text@127.0.0.1', 'password-text@[127.0.0.1')
      .replace('type: slurm', 'type: password-text');
    for (const text of [broken, broken.replace('type: password-text', 'type: slurm')]) {
      const error = refusal(() => loadText(text));
      const printed = `${error.message}${error.stack}${inspect(error, { depth: 20 })}`;
      expect(printed).not.toContain('password-text');
      expect(printed).not.toContain('secret-text-of-probe');
    }
  });

  it('shows [secret] in every way of printing, and its text by reveal alone', () => {
    const secret = new Secret('hidden-text');
    const shown = [
      `${secret}`,
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }),
      `${secret.toString()}`,
    ];
    for (const text of shown) {
      expect(text).toContain('[secret]');
      expect(text).not.toContain('hidden-text');
    }
    expect(Object.keys(secret)).toEqual([]);
    expect(inspect(structuredClone({ ...secret }))).not.toContain('hidden-text');
    expect(secret.reveal()).toBe('hidden-text');
  });

  it('from a file loses its last line break, and no more', () => {
    const text = small.replace('/run/keys/alice', '/key');
    const { config } = loadText(text, {}, { '/key': '-----BEGIN\nbody\n-----END\n' });
    expect(config.sshCredentials.type === 'static-keys' && config.sshCredentials.keys.alice?.privateKey.reveal()).toBe(
      '-----BEGIN\nbody\n-----END',
    );
  });

  it('read from a file cannot come to stand where values are shown', () => {
    const text = small.replace('login.one.example.org', '"secret_file:/key"');
    const { problems } = refusal(() => loadText(text, {}, { '/key': 'file-text' }));
    expect(problems[0]).toMatchObject({ key: 'clusters[0].ssh.host', place: 'site.yaml:8' });
    expect(JSON.stringify(problems)).not.toContain('file-text');
  });
});

describe('names that objects carry already', () => {
  it('are keys and users like any other', () => {
    const text = small.replace('alice:', 'constructor:').replace('name: one', 'name: constructor');
    const { config } = loadText(text);
    expect(config.systems[0]?.ssh.connectionsPerUserMax).toBe(4);
    const keys = config.sshCredentials.type === 'static-keys' ? config.sshCredentials.keys : {};
    expect(keys.constructor).toBeDefined();
    expect(keys.toString).toBeUndefined();
  });
});

describe('what is written from the schema', () => {
  it('is in the repository as the code would write it now', () => {
    expect(stalePages('.')).toEqual([]);
  });

  it('the example for users loads without a warning, and without a key that has no effect, once its secrets are there', () => {
    const secretOf = (path: string) => (path.endsWith('redis_url') ? 'redis://127.0.0.1' : `text of ${path}`);
    const example = loadConfig({
      env: { GOLDCREST_CONFIG: 'deploy/goldcrest.example.yaml' },
      files: {
        ...diskReader,
        readFile: (path) => (path.startsWith('/run/secrets/') ? secretOf(path) : diskReader.readFile(path)),
      },
    });
    expect(example.warnings).toEqual([]);
    expect(findUnsupported(example.config, example.placeOf)).toEqual([]);
    expect(findWithoutEffect(example.config, example.placeOf)).toEqual([]);
    expect(example.config.systems[0]?.name).toBe('daint');
  });
});
