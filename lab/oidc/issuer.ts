/**
 * A real OpenID provider for the lab: client credentials in, JWT access tokens (RFC 9068) out. What a test needs to
 * vary is asked for in the token request itself by parameters of the lab's own: `lab_audience`, `lab_expires_in`
 * (seconds), `lab_algorithm`. Source: oidc-provider's configuration guide.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import Provider, { type Configuration, type KoaContextWithOIDC } from 'oidc-provider';

export interface IssuerClient {
  clientId: string;
  clientSecret: string;
  /** Goes into `preferred_username`. */
  username: string;
}

export interface IssuerOptions {
  issuer: string;
  audience: string;
  /** Scope of a token when the request names none; also the scopes there are. */
  defaultScope: string;
  clients: readonly IssuerClient[];
}

export interface IssuedTokens {
  total: number;
  tokens: string[];
}

export interface Issuer {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Signs with new keys from now on; the old public keys stay in the JWKS unless told otherwise. */
  rotateKeys(keepsOldKeys: boolean): Promise<void>;
  /** How many tokens were given out, and those after the first `after`: a test can look where they came to. */
  issued(after: number): IssuedTokens;
}

type SigningAlgorithm = 'RS256' | 'ES256';

const lifetimeSeconds = 600;
/** Scopes a client may ask for beside the default one, to be refused by the broker. */
const otherScopes = ['openid', 'profile', 'unrelated'];
const resourceIndicator = 'urn:goldcrest:lab';

/** Makes the provider with fresh keys for RS256 and ES256. */
export async function createIssuer(options: IssuerOptions): Promise<Issuer> {
  let keys = await freshKeys();
  const tokens: string[] = [];
  const serve = () => {
    const provider = new Provider(options.issuer, configuration(options, keys));
    provider.on('grant.success', ({ body }: KoaContextWithOIDC) => {
      tokens.push((body as { access_token: string }).access_token);
    });
    return provider.callback();
  };
  let handle = serve();
  return {
    handle: (request, response) => void handle(request, response),
    rotateKeys: async (keepsOldKeys) => {
      // oidc-provider fixes its keys when it is made; nothing but codes and sessions, unused here, is lost with it.
      keys = [...(await freshKeys()), ...(keepsOldKeys ? keys : [])];
      handle = serve();
    },
    issued: (after) => ({ total: tokens.length, tokens: tokens.slice(after) }),
  };
}

async function freshKeys(): Promise<JWK[]> {
  const algorithms: SigningAlgorithm[] = ['RS256', 'ES256'];
  return Promise.all(
    algorithms.map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: randomUUID() };
    }),
  );
}

function configuration(options: IssuerOptions, keys: JWK[]): Configuration {
  const scopes = [...options.defaultScope.split(' '), ...otherScopes];
  const clientOf = (clientId: string | undefined) => options.clients.find((client) => client.clientId === clientId);
  return {
    jwks: { keys } as NonNullable<Configuration['jwks']>,
    // Registered with one method, a client may still send its secret by the other (Basic or in the body).
    clients: options.clients.map((client) => ({
      client_id: client.clientId,
      client_secret: client.clientSecret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: scopes.join(' '),
    })),
    scopes,
    cookies: { keys: [randomUUID()] },
    formats: {
      customizers: {
        jwt: (_context, token, parts) => {
          const client = clientOf(token.clientId);
          parts.payload.scope ??= options.defaultScope;
          parts.payload.preferred_username = client?.username;
          parts.payload.azp = token.clientId;
        },
      },
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // A client that sends a proof with its request gets a token that is bound to the proof's key.
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resourceIndicator,
        useGrantedResource: () => true,
        getResourceServerInfo: (context) => resourceServer(options, scopes, context),
      },
    },
  };
}

function resourceServer(options: IssuerOptions, scopes: string[], context: KoaContextWithOIDC) {
  const asked = context.oidc.body ?? {};
  const expiresIn = Number(asked.lab_expires_in ?? lifetimeSeconds);
  const algorithm: SigningAlgorithm = asked.lab_algorithm === 'ES256' ? 'ES256' : 'RS256';
  return {
    scope: scopes.join(' '),
    audience: String(asked.lab_audience ?? options.audience),
    accessTokenFormat: 'jwt' as const,
    accessTokenTTL: Number.isFinite(expiresIn) && expiresIn > 0 ? expiresIn : lifetimeSeconds,
    jwt: { sign: { alg: algorithm } },
  };
}
