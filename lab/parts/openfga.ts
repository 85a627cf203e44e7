/** The OpenFGA server, a released version built once by lab/install.sh, with its store in memory. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { controlOf, type DaemonControl, startDaemon } from '../daemon.ts';
import { portAt, startOnFreePorts } from '../free-ports.ts';
import { LabError } from '../lab-error.ts';

export interface OpenFgaFacts {
  apiUrl: string;
  /** The preshared key that every request must carry as a bearer token. */
  apiToken: string;
}

/** A stop loses every store: they live in memory. */
export interface OpenFgaPart extends OpenFgaFacts, DaemonControl {}

/** Starts the server on free loopback ports; resolves when it reports itself healthy. */
export async function startOpenFga(folder: string): Promise<OpenFgaPart> {
  const command = openFgaBinary();
  const apiToken = randomBytes(18).toString('base64url');
  return startOnFreePorts(2, async (ports) => {
    const address = `127.0.0.1:${portAt(ports, 0)}`;
    const settings: Record<string, string> = {
      'http-addr': address,
      'grpc-addr': `127.0.0.1:${portAt(ports, 1)}`,
      'datastore-engine': 'memory',
      'authn-method': 'preshared',
      'playground-enabled': 'false',
      'metrics-enabled': 'false',
      'log-level': 'warn',
    };
    const apiUrl = `http://${address}`;
    const daemon = await startDaemon({
      name: 'openfga',
      folder,
      command,
      args: ['run', ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)],
      // Not an argument: every user of the machine can read those.
      env: { OPENFGA_AUTHN_PRESHARED_KEYS: apiToken },
      isReady: async () => (await fetch(`${apiUrl}/healthz`)).ok,
      readyTimeoutMs: 20_000,
    });
    return { apiUrl, apiToken, ...controlOf(daemon) };
  });
}

/** Where lab/install.sh leaves the server of the pinned version. */
function openFgaBinary(): string {
  const version = readFileSync(new URL('../openfga.version', import.meta.url), 'utf8').trim();
  const cache =
    process.env.GOLDCREST_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'goldcrest');
  const binary = join(cache, `openfga-${version}`, 'openfga');
  if (!existsSync(binary)) throw new LabError('Missing', `No OpenFGA server at ${binary}: run lab/install.sh lab`);
  return binary;
}
