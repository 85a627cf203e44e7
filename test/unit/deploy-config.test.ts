/** The files of `docker-compose.yml`: they are read here as the processes and compose read them, secrets stubbed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { type LoadedConfig, loadConfig } from '../../shared/platform/config/load-config.ts';
import { diskReader } from '../../shared/platform/config/read-files.ts';

const dependency = z.object({
  condition: z.enum(['service_healthy', 'service_started', 'service_completed_successfully']),
});
const service = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  user: z.string().optional(),
  command: z.array(z.string()).optional(),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.string()).optional(),
  stop_grace_period: z.string().optional(),
  environment: z.record(z.string(), z.string()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  healthcheck: z.object({ test: z.array(z.string()).optional(), disable: z.boolean().optional() }).optional(),
  depends_on: z.record(z.string(), dependency).default({}),
  deploy: z.object({ replicas: z.int() }).optional(),
  profiles: z.array(z.string()).default([]),
});
const composeFile = z.object({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.null()) });

const compose = composeFile.parse(parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }));
const services = Object.entries(compose.services);

function serviceOf(name: string): z.infer<typeof service> {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`no service ${name}`);
  return found;
}

/** The configuration of a service, as its volumes and variables give it; also the secret files that were read. */
function configurationOf(name: string): LoadedConfig & { secretFiles: string[] } {
  const { environment } = serviceOf(name);
  const secretFiles: string[] = [];
  const loaded = loadConfig({
    env: { ...environment, GOLDCREST_AUTHORIZATION__STORE_ID: 'of-authorize-sh' },
    files: {
      ...diskReader,
      readFile(path) {
        if (path.startsWith('/etc/goldcrest/')) {
          return diskReader.readFile(path.replace('/etc/goldcrest/', 'deploy/compose/'));
        }
        secretFiles.push(path);
        if (path.endsWith('sealing_key')) return Buffer.alloc(32).toString('base64');
        return path.endsWith('redis_url') ? 'redis://:password@redis:6379/0' : `text of ${path}`;
      },
    },
  });
  return { ...loaded, secretFiles };
}

/** Seconds of a duration as compose writes it: `45s`. */
function secondsOf(text: string | undefined): number {
  return Number(/^(\d+)s$/.exec(text ?? '')?.[1]);
}

describe('docker-compose.yml', () => {
  it.each(services)('%s depends on services that exist, on their health where they have one', (_name, own) => {
    for (const [other, { condition }] of Object.entries(own.depends_on)) {
      const isOneShot = serviceOf(other).healthcheck?.disable === true;
      expect(condition).toBe(isOneShot ? 'service_completed_successfully' : 'service_healthy');
    }
  });

  it.each(services)('%s has a health check, or ends by itself', (name, { healthcheck }) => {
    if (healthcheck?.disable === true) expect(['init', 'token', 'openfga-migrate', 'authz']).toContain(name);
    else expect(healthcheck?.test?.[0]).toMatch(/^CMD(-SHELL)?$/);
  });

  it.each(services)('%s has an image with a pinned version', (_name, { image }) => {
    expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)?$/);
  });

  it.each(services)('%s publishes ports on the loopback address only', (_name, { ports }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it.each(services)('%s mounts declared volumes, and files that are in the repository', (_name, { volumes }) => {
    for (const source of volumes.map((volume) => volume.split(':')[0] ?? '')) {
      if (source.startsWith('./')) expect(statSync(source).isDirectory()).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  it.each(services)('%s reads its own secrets only, and cannot change them', (name, { volumes }) => {
    const secrets = volumes.filter((volume) => volume.startsWith('secrets-'));
    if (name === 'init') return;
    const owner = { token: 'keycloak', authz: 'api' }[name] ?? name;
    for (const volume of secrets) expect(volume).toMatch(new RegExp(`^secrets-${owner}:/.*:ro$`));
  });

  it.each(['api', 'worker'])('%s runs without privileges: no root, no capabilities, nothing to write to', (name) => {
    const own = serviceOf(name);
    expect(own.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(own).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  });

  it('has two workers', () => {
    expect(serviceOf('worker').deploy?.replicas).toBe(2);
  });

  it.each(['api', 'worker'] as const)('gives %s longer to stop than its drain takes', (name) => {
    const { config } = configurationOf(name);
    expect(secondsOf(serviceOf(name).stop_grace_period) * 1_000).toBeGreaterThan(config[name].drainMs + 10_000);
  });
});

describe('the configuration of docker-compose.yml', () => {
  it.each(['api', 'worker'])('loads for the %s without a warning', (name) => {
    const { config, warnings } = configurationOf(name);
    expect(warnings).toEqual([]);
    expect(config.redis.requireDurability).toBe(true);
    expect(config.systems.map((system) => system.ssh.host)).toEqual(['login']);
    expect(compose.services).toHaveProperty('login');
  });

  it('gives the key that signs for users to the workers and not to the API', () => {
    const key = '/run/secrets/goldcrest/user_ca';
    expect(configurationOf('worker').secretFiles).toContain(key);
    expect(configurationOf('api').secretFiles).not.toContain(key);
    expect(configurationOf('api').config.sshCredentials).toMatchObject({ type: 'static-keys', keys: {} });
  });

  it('lets the workers ask the OpenFGA that the API asks, for they judge directories and work in the background', () => {
    for (const name of ['api', 'worker']) {
      const { config, secretFiles } = configurationOf(name);
      expect(config.authorization).toMatchObject({ type: 'openfga', url: 'http://openfga:8080' });
      expect(secretFiles).toContain('/run/secrets/goldcrest/openfga_token');
      const { command, volumes, depends_on: before } = serviceOf(name);
      expect(command?.at(-1)).toMatch(
        /^GOLDCREST_AUTHORIZATION__STORE_ID="\$\$\(cat \/run\/authz\/store_id\)" exec node /,
      );
      expect(volumes).toContain('authz-store:/run/authz:ro');
      expect(before).toHaveProperty('authz');
    }
  });

  it('names secret files that make-secrets.sh writes for that service, and the script writes them once', () => {
    if (process.getuid?.() !== 0) return expect(readFileSync('deploy/make-secrets.sh', 'utf8')).toContain('user_ca');
    const folder = mkdtempSync(join(tmpdir(), 'gc-secrets-'));
    try {
      const run = () => execFileSync('bash', ['deploy/make-secrets.sh', folder], { encoding: 'utf8' });
      run();
      for (const name of ['api', 'worker']) {
        const { config, secretFiles } = configurationOf(name);
        const knownHosts = config.systems[0]?.ssh.hostKeys.knownHostsFile ?? '';
        const wanted = name === 'worker' ? [...secretFiles, knownHosts] : secretFiles;
        const names = wanted.map((path) => path.replace('/run/secrets/goldcrest/', ''));
        expect(readdirSync(join(folder, name))).toEqual(expect.arrayContaining(names));
      }
      const before = readFileSync(join(folder, 'worker', 'user_ca'), 'utf8');
      expect(before).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
      expect(statSync(join(folder, 'worker', 'user_ca')).mode & 0o777).toBe(0o400);
      const [ofApi = '', ofWorker = ''] = ['api', 'worker'].map((name) => join(folder, name, 'openfga_token'));
      rmSync(ofWorker); // as volumes are that an earlier version made
      run();
      expect(readFileSync(join(folder, 'worker', 'user_ca'), 'utf8')).toBe(before);
      expect(readFileSync(ofWorker, 'utf8')).toBe(readFileSync(ofApi, 'utf8'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('accepts the tokens of the realm: the audience, the claim and the issuer are the same in both', () => {
    const realm = readFileSync('deploy/keycloak/realm.json', 'utf8');
    const [issuer] = configurationOf('api').config.authentication.issuers;
    expect(issuer?.issuer).toBe(`${compose.services.keycloak?.environment.KC_HOSTNAME}/realms/goldcrest`);
    expect(realm).toContain(`"included.custom.audience": "${issuer?.audiences[0]}"`);
    expect(realm).toContain(`"claim.name": "${issuer?.usernameClaim}"`);
  });
});

describe('the realm of Keycloak', () => {
  it('is tried with the version of docker-compose.yml', () => {
    const [version] = readFileSync('lab/keycloak.version', 'utf8').split(' ');
    expect(readFileSync('docker-compose.yml', 'utf8')).toContain(`image: quay.io/keycloak/keycloak:${version}\n`);
  });

  const client = z.object({ clientId: z.string(), secret: z.string(), serviceAccountsEnabled: z.literal(true) });
  const realm = z
    .object({ realm: z.literal('goldcrest'), clients: z.array(client) })
    .parse(JSON.parse(readFileSync('deploy/keycloak/realm.json', 'utf8')));

  it('has two persons and a service account, and no secret in it', () => {
    expect(realm.clients.map(({ clientId }) => clientId)).toEqual(['alice-cli', 'bob-cli', 'service']);
    for (const { secret } of realm.clients) expect(secret).toMatch(/^\$\{[A-Z_]+\}$/);
  });

  it('has the users of the login node as the users of its tokens', () => {
    const image = readFileSync('deploy/slurm/Dockerfile', 'utf8');
    const usernames = [...JSON.stringify(realm).matchAll(/"claim\.value":"(\w+)"/g)].map(([, name]) => name);
    for (const username of usernames) expect(image).toContain(`--password '*' ${username}`);
  });
});

describe('the image', () => {
  it('is built without anything but sources: what the build context leaves out holds secrets or rubbish', () => {
    const lines = readFileSync('.dockerignore', 'utf8').split('\n');
    expect(lines).toContain('*');
    expect(lines.filter((line) => /secret|env|\.git|node_modules|test/.test(line) && line.startsWith('!'))).toEqual([
      '!deploy/make-secrets.sh',
    ]);
  });

  it('does not run as root, and its base images are pinned', () => {
    const dockerfile = readFileSync('deploy/Dockerfile', 'utf8');
    expect(dockerfile).toMatch(/^USER 10001:10001$/m);
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base ?? '');
    for (const base of bases.filter((name) => name.includes(':'))) expect(base).toMatch(/:\d+\.\d+\.\d+-/);
    expect(dockerfile).not.toMatch(/latest/);
  });
});
