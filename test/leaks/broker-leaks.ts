/**
 * The watch over each broker that a test starts: its secrets are those of its configuration, those of the lab's clients,
 * every token that was issued or sent meanwhile, and what it hands out. A file fails whose broker left one lying about.
 */
import { readFileSync } from 'node:fs';
import type { Broker } from '../../lab/broker.ts';
import { issuedTokens, type OidcFacts } from '../../lab/oidc/token-client.ts';
import { loadConfig } from '../../shared/platform/config/load-config.ts';
import { type KnownSecret, secretsOfConfig, tokenSecrets } from './known-secrets.ts';
import { type LeakWatch, watchForLeaks } from './leak-watch.ts';

const watches = new Map<string, LeakWatch>();

/** The watch over the broker at `url`; undefined where the address is of something else. */
export function leakWatchOf(url: string): LeakWatch | undefined {
  return watches.get(url);
}

/** `broker` with a watch over it, which ends when it is stopped. */
export async function watched(broker: Broker, oidc: OidcFacts): Promise<Broker> {
  const { config } = loadConfig({ env: { GOLDCREST_CONFIG: broker.configFile } });
  const { directory } = config.audit;
  const before = await issuedBy(oidc, Number.POSITIVE_INFINITY);
  const clients = Object.entries(oidc.clients).map(([name, { clientSecret }]) => ({
    ...{ title: `the client secret of ${name}`, needle: clientSecret, isHandedOut: false },
  }));
  const privateKey = { title: 'a private key', needle: 'PRIVATE KEY-----', isHandedOut: false };
  const watch = watchForLeaks(
    {
      redisUrl: config.redis.url.reveal(),
      keyPrefix: config.redis.keyPrefix,
      logs: () => [
        ...[broker.api, ...broker.workers].map(({ logFile }) => logFile),
        ...(directory === null ? [] : [directory]),
      ],
      moreSecrets: async () => (await issuedBy(oidc, before.total)).secrets,
    },
    [...secretsOfConfig(config), ...clients, privateKey],
  );
  requireSight(broker, watch);
  watches.set(broker.url, watch);
  return {
    ...broker,
    async stop() {
      await broker.stop();
      await watch.finish();
    },
  };
}

/** An issuer that a test has stopped has nothing to tell; what its clients sent is known all the same. */
async function issuedBy(oidc: OidcFacts, after: number): Promise<{ total: number; secrets: KnownSecret[] }> {
  const { total, tokens } = await issuedTokens(oidc, after).catch(() => ({ total: 0, tokens: [] as string[] }));
  return { total, secrets: tokens.flatMap((token) => tokenSecrets('a token that was issued', token)) };
}

/** A search that finds nothing must look somewhere. */
function requireSight({ api, workers }: Broker, watch: LeakWatch): void {
  if (!readFileSync(api.logFile, 'latin1').includes('"level"')) throw new Error(`${api.logFile} is no log`);
  for (const { name, pid } of [api, ...workers]) {
    if (!watch.hasSeen(pid() ?? 0)) throw new Error(`the command line of ${name} is not looked at`);
  }
}
