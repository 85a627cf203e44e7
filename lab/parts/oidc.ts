/** The OIDC issuer: oidc-provider in a process of its own, with one client for each user of the lab. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { controlOf, type DaemonControl, startDaemon } from '../daemon.ts';
import { portAt, startOnFreePorts } from '../free-ports.ts';
import {
  type OidcClient,
  type OidcFacts,
  requestToken,
  rotateIssuerKeys,
  type TokenOptions,
} from '../oidc/token-client.ts';
import type { LabUser } from '../users.ts';

/** After a stop and a start the issuer has new keys and the same clients. */
export interface OidcPart extends OidcFacts, DaemonControl {
  /** An access token for a user of the lab (alice, bob, carol, service, load001, …). */
  token(name: string, options?: TokenOptions): Promise<string>;
  rotateKeys(options?: { keepsOldKeys?: boolean }): Promise<void>;
}

const audience = 'goldcrest';
const scope = 'goldcrest';

/** Starts the issuer on a free loopback port; resolves when its discovery document is served. */
export async function startOidc(folder: string, users: readonly LabUser[]): Promise<OidcPart> {
  const clients = Object.fromEntries(users.map((user) => [user.name, clientOf(user)]));
  return startOnFreePorts(1, async (ports) => {
    const port = portAt(ports, 0);
    const issuer = `http://127.0.0.1:${port}`;
    const settingsFile = join(folder, 'oidc.json');
    const settings = { port, issuer, audience, defaultScope: scope, clients: Object.values(clients) };
    writeFileSync(settingsFile, JSON.stringify(settings), { mode: 0o600 });
    const repository = fileURLToPath(new URL('../..', import.meta.url));
    const daemon = await startDaemon({
      name: 'oidc',
      folder,
      command: process.execPath,
      args: ['--import', 'tsx', fileURLToPath(new URL('../oidc/main.ts', import.meta.url)), settingsFile],
      cwd: repository,
      isReady: async () => (await fetch(`${issuer}/.well-known/openid-configuration`)).ok,
      readyTimeoutMs: 20_000,
    });
    const facts: OidcFacts = {
      issuer,
      audience,
      scope,
      clients,
      tokenEndpoint: `${issuer}/token`,
      jwksUri: `${issuer}/jwks`,
    };
    return {
      ...facts,
      ...controlOf(daemon),
      token: (name, options) => requestToken(facts, name, options),
      rotateKeys: (options) => rotateIssuerKeys(facts, options),
    };
  });
}

function clientOf(user: LabUser): OidcClient {
  return { clientId: user.name, clientSecret: randomBytes(18).toString('base64url'), username: user.username };
}
