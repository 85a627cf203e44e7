/**
 * The signing keys of one issuer: fetched from its key sets (http, https or file), merged, kept, and fetched again when
 * a token names a key that is not among them. An outage changes nothing while keys are known.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createLocalJWKSet, type JWK } from 'jose';
import type { Logger } from 'pino';
import { z } from 'zod';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { readBoundedText } from '../../shared/platform/bounded-text.ts';

/** Time one fetch may take. */
const fetchMs = 5_000;
/** Largest key set or discovery document. */
const documentBytesMax = 1024 * 1024;
/** Least time between two fetches, so that tokens with invented key ids cannot make us flood the issuer. */
const cooldownMs = 30_000;
/** Least time between two fetches while no key is known. */
const retryMs = 1_000;
/** Keys older than this are fetched again in the background. */
const freshMs = 600_000;
/** Keys that could not be confirmed for this long are no longer trusted. */
const trustedMs = 24 * 3_600_000;
const keysMax = 1_000;

const keySetDocument = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(keysMax) });
const discoveryDocument = z.object({ issuer: z.string(), jwks_uri: z.url() });

export interface IssuerKeys {
  /** The known keys. Throws IssuerUnavailable only when there are none. */
  keys(): Promise<KeySnapshot>;
  /** After a token named an unknown key: newer keys if the issuer may be asked again, else the same. Never throws. */
  newerThan(snapshot: KeySnapshot): Promise<KeySnapshot>;
  /** Grows when the keys change; what was verified with an older version must be verified again. */
  version(): number;
}

export interface KeySnapshot {
  version: number;
  /** Finds the key a token's header asks for, as `jwtVerify` wants it; keeps imported keys. */
  find: ReturnType<typeof createLocalJWKSet>;
  count: number;
}

export interface IssuerKeysOptions {
  issuer: string;
  /** Empty: found by discovery at the issuer. */
  jwksUrls: readonly string[];
  log: Logger;
  now: () => number;
}

async function readDocument(url: string): Promise<unknown> {
  if (url.startsWith('file:')) return JSON.parse(await readFile(fileURLToPath(url), 'utf8')) as unknown;
  const response = await fetch(url, { signal: AbortSignal.timeout(fetchMs), headers: { accept: 'application/json' } });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`HTTP status ${response.status} from ${url}`);
  }
  return JSON.parse(await readBoundedText(response, documentBytesMax)) as unknown;
}

/** OpenID Connect Discovery 1.0, section 4: the document must name the issuer it was asked of. */
async function discover(issuer: string): Promise<string> {
  const document = discoveryDocument.parse(
    await readDocument(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
  );
  if (document.issuer !== issuer) throw new Error(`the discovery document is of issuer ${document.issuer}`);
  return document.jwks_uri;
}

async function fetchKeySet(url: string): Promise<JWK[]> {
  const document = await readDocument(url);
  const single = z.looseObject({ kty: z.string() }).safeParse(document);
  return single.success ? [single.data] : keySetDocument.parse(document).keys;
}

interface KeySet {
  keys: JWK[];
  /** When it was last read, milliseconds since the epoch. */
  readAt: number;
}

function snapshotOf(version: number, keys: JWK[]): KeySnapshot {
  return { version, find: createLocalJWKSet({ keys }), count: keys.length };
}

/** Reads the key sets of one issuer. Resolves to whether all could be read; one that could not keeps what it gave before. */
function createKeySetReader({ issuer, jwksUrls, log, now }: IssuerKeysOptions, known: Map<string, KeySet>) {
  const readOne = async (url: string): Promise<boolean> => {
    try {
      known.set(url, { keys: await fetchKeySet(url), readAt: now() });
      return true;
    } catch (error) {
      log.warn({ err: error, issuer, url }, 'cannot read the key set of a token issuer');
      return false;
    }
  };
  const findUrls = async (): Promise<readonly string[] | null> => {
    if (jwksUrls.length > 0) return jwksUrls;
    try {
      return [await discover(issuer)];
    } catch (error) {
      log.warn({ err: error, issuer }, 'cannot read the discovery document of a token issuer');
      return null;
    }
  };
  return async (): Promise<boolean> => {
    const urls = await findUrls();
    if (urls === null) return false;
    const results = await Promise.all(urls.map(readOne));
    for (const url of known.keys()) if (!urls.includes(url)) known.delete(url);
    return results.every((isRead) => isRead);
  };
}

/** Starts with no keys; the first caller fetches, and callers at the same time share one fetch. */
export function createIssuerKeys(options: IssuerKeysOptions): IssuerKeys {
  const { issuer, now } = options;
  const known = new Map<string, KeySet>();
  const readKeySets = createKeySetReader(options, known);
  let fingerprint = '[]';
  let snapshot = snapshotOf(0, []);
  let askedAt = Number.NEGATIVE_INFINITY;
  let isComplete = false;
  let running: Promise<void> | undefined;

  const fetchAll = async (): Promise<void> => {
    askedAt = now();
    isComplete = await readKeySets();
    for (const [url, set] of known) if (now() - set.readAt >= trustedMs) known.delete(url);
    const keys = [...known.values()].flatMap((set) => set.keys);
    const seen = JSON.stringify(keys);
    if (seen === fingerprint) return;
    fingerprint = seen;
    snapshot = snapshotOf(snapshot.version + 1, keys);
  };

  const refresh = (): Promise<void> => {
    running ??= fetchAll().finally(() => {
      running = undefined;
    });
    return running;
  };

  return {
    async keys() {
      const ageMs = now() - askedAt;
      if (snapshot.count === 0 || ageMs >= trustedMs) {
        if (running !== undefined || ageMs >= retryMs) await refresh();
      } else if (ageMs >= (isComplete ? freshMs : cooldownMs)) {
        void refresh();
      }
      if (snapshot.count > 0) return snapshot;
      throw new BrokerError('IssuerUnavailable', 'The keys of the token issuer cannot be read at the moment.', {
        detail: { issuer },
      });
    },
    async newerThan(seen) {
      if (seen.version !== snapshot.version) return snapshot;
      if (running !== undefined || now() - askedAt >= cooldownMs) await refresh();
      return snapshot;
    },
    version: () => snapshot.version,
  };
}
