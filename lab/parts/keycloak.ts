/**
 * Keycloak as released, installed once by lab/install.sh, with the realm that docker-compose.yml uses and its database in
 * memory. It takes half a minute to start, so it is no part of the common lab: who needs it starts it.
 */
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { controlOf, type DaemonControl, startDaemon } from '../daemon.ts';
import { portAt, startOnFreePorts } from '../free-ports.ts';
import { LabError } from '../lab-error.ts';

/** Clients of deploy/keycloak/realm.json. */
type RealmClient = 'alice-cli' | 'bob-cli' | 'service';

/** A stop loses what was changed: the realm is as imported after a start. */
export interface KeycloakPart extends DaemonControl {
  issuer: string;
  secrets: Record<RealmClient, string>;
  /** A request of the admin API, below the realm; answers with what came back as JSON, or undefined. */
  admin(method: string, path: string, body?: unknown): Promise<unknown>;
}

const realm = 'goldcrest';
const administrator = 'admin';
const openPackages = ['java.util', 'java.util.concurrent', 'java.security', 'java.lang'];

/** Starts it on a free loopback port; resolves when the realm's discovery document is served. */
export async function startKeycloak(folder: string): Promise<KeycloakPart> {
  const home = makeHome(folder);
  const newSecret = () => randomBytes(18).toString('base64url');
  const secrets = { 'alice-cli': newSecret(), 'bob-cli': newSecret(), service: newSecret() };
  const password = newSecret();
  return startOnFreePorts(1, async (ports) => {
    const base = `http://127.0.0.1:${portAt(ports, 0)}`;
    const issuer = `${base}/realms/${realm}`;
    const daemon = await startDaemon({
      ...{ name: 'keycloak', folder, command: 'java', cwd: home },
      args: [...javaOptions(home), ...serverOptions(base)],
      env: {
        KC_BOOTSTRAP_ADMIN_USERNAME: administrator,
        KC_BOOTSTRAP_ADMIN_PASSWORD: password,
        ALICE_CLI_SECRET: secrets['alice-cli'],
        BOB_CLI_SECRET: secrets['bob-cli'],
        SERVICE_SECRET: secrets.service,
      },
      isReady: async () => (await fetch(`${issuer}/.well-known/openid-configuration`)).ok,
      readyTimeoutMs: 180_000,
      stopTimeoutMs: 15_000,
    });
    return { issuer, secrets, admin: (...request) => askAdmin(base, password, request), ...controlOf(daemon) };
  });
}

/** A folder of its own for what it writes and the realm it imports; the programs are those of the installation. */
function makeHome(folder: string): string {
  const installed = installation();
  const home = join(folder, 'keycloak');
  mkdirSync(join(home, 'data', 'import'), { recursive: true });
  for (const name of ['bin', 'conf', 'lib', 'providers', 'themes'])
    symlinkSync(join(installed, name), join(home, name));
  const realmFile = fileURLToPath(new URL('../../deploy/keycloak/realm.json', import.meta.url));
  copyFileSync(realmFile, join(home, 'data', 'import', 'realm.json'));
  return home;
}

/** Where lab/install.sh leaves the pinned version. */
function installation(): string {
  const [version] = readFileSync(new URL('../keycloak.version', import.meta.url), 'utf8').split(' ');
  const cache =
    process.env.GOLDCREST_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'goldcrest');
  const path = join(cache, `keycloak-${version}`);
  if (!existsSync(path)) throw new LabError('Missing', `No Keycloak at ${path}: run lab/install.sh test`);
  return path;
}

/** As bin/kc.sh has them, but for a short start and little memory. */
function javaOptions(home: string): string[] {
  return [
    ...['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
    ...openPackages.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
    `-Dkc.home.dir=${home}`,
    '-Djava.util.logging.manager=org.jboss.logmanager.LogManager',
    '-Dpicocli.disable.closures=true',
    ...['-cp', join(home, 'lib', 'quarkus-run.jar'), 'io.quarkus.bootstrap.runner.QuarkusEntryPoint'],
  ];
}

function serverOptions(base: string): string[] {
  const { port } = new URL(base);
  return [
    ...['start', '--optimized', '--import-realm', '--cache=local'],
    ...['--http-enabled=true', '--http-host=127.0.0.1', `--http-port=${port}`, `--hostname=${base}`],
  ];
}

async function askAdmin(base: string, password: string, [method, path, body]: [string, string, unknown?]) {
  const form = { grant_type: 'password', client_id: 'admin-cli', username: administrator, password };
  const tokenUrl = `${base}/realms/master/protocol/openid-connect/token`;
  const granted = await fetch(tokenUrl, { method: 'POST', body: new URLSearchParams(form) });
  const { access_token: token } = (await granted.json()) as { access_token?: string };
  const response = await fetch(`${base}/admin/realms/${realm}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok)
    throw new LabError('CommandFailed', `${method} ${path}: Keycloak answered ${response.status} ${text}`);
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}
