/** Access tokens against real keys served over real HTTP: what is accepted, what is refused, rotation and outages. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTokenVerifier } from '../../api/auth/token-verifier.ts';
import type { IssuerConfig } from '../../shared/platform/config/config.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

interface SigningKey extends KeyPair {
  jwk: JWK;
}

async function newKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

let key: SigningKey;
let nextKey: SigningKey;
let curveKey: SigningKey;
beforeAll(async () => {
  [key, nextKey, curveKey] = await Promise.all([newKey('k1'), newKey('k2'), newKey('e1', 'ES256')]);
});

/** The issuer: one key set, which a test changes or breaks. */
let server: Server;
let published: JWK[];
let status: number;
/** Takes the place of every answer. */
let bomb: Buffer | undefined;
let fetches: number;
let nowMs: number;
let base: string;

beforeEach(async () => {
  published = [key.jwk, curveKey.jwk];
  status = 200;
  fetches = 0;
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  server = createServer((request, response) => {
    fetches += 1;
    if (bomb !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb);
      return;
    }
    response.writeHead(status, { 'content-type': 'application/json' });
    const documents: Record<string, unknown> = {
      '/keys': { keys: published },
      '/other': { keys: [{ ...nextKey.jwk, kid: 'k1' }] },
    };
    const discovery = { issuer: base, jwks_uri: `${base}/keys` };
    response.end(JSON.stringify(documents[request.url ?? ''] ?? discovery));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function issuerConfig(overrides: Partial<IssuerConfig> = {}): IssuerConfig {
  return {
    issuer: base,
    jwksUrls: [`${base}/keys`],
    audiences: ['goldcrest'],
    acceptAnyAudience: false,
    algorithms: ['RS256', 'ES256'],
    usernameClaim: 'preferred_username',
    usernames: {},
    usernamePattern: null,
    requiredScopes: [],
    clockSkewSeconds: 5,
    minimumLifeSeconds: 10,
    dpop: 'off',
    dpopNonce: false,
    tokenUrl: null,
    tokenEndpointAuthMethod: 'client_secret_basic',
    scopes: {},
    ...overrides,
  };
}

function verifier(...overrides: Partial<IssuerConfig>[]) {
  const issuers = (overrides.length === 0 ? [{}] : overrides).map(issuerConfig);
  const checkProof = () => Promise.reject(new Error('no token here is sent with a proof'));
  return createTokenVerifier({ issuers, checkProof, log: pino({ level: 'silent' }), now: () => nowMs });
}

const seconds = () => Math.floor(nowMs / 1000);

function claims(overrides: JWTPayload = {}): JWTPayload {
  return {
    iss: base,
    aud: 'goldcrest',
    sub: 's-alice',
    preferred_username: 'alice',
    iat: seconds(),
    exp: seconds() + 300,
    ...overrides,
  };
}

function without(claim: string): JWTPayload {
  return Object.fromEntries(Object.entries(claims()).filter(([name]) => name !== claim));
}

function sign(payload: JWTPayload = claims(), signer: SigningKey = key, header: Record<string, unknown> = {}) {
  const { kid, alg = 'RS256' } = signer.jwk;
  return new SignJWT(payload)
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }), ...header })
    .sign(signer.privateKey);
}

const refusal = (code: string, message: string) => expect.objectContaining({ code, message });
const invalid = () => refusal('TokenInvalid', 'Access token is invalid.');

describe('accepted', () => {
  it('a token of the issuer for our audience gives issuer, subject, username and client', async () => {
    const verify = verifier();
    const token = await sign(claims({ aud: ['other', 'goldcrest'], azp: 'cli' }), key, { typ: 'at+jwt' });
    expect(await verify(token)).toEqual({ issuer: base, subject: 's-alice', username: 'alice', client: 'cli' });
    expect((await verify(await sign(claims(), curveKey))).username).toBe('alice');
  });

  it('keys are found by discovery where none are configured', async () => {
    expect((await verifier({ jwksUrls: [] })(await sign())).username).toBe('alice');
  });

  it('a token without kid is tried with every key it may be of', async () => {
    published = [nextKey.jwk, key.jwk];
    expect((await verifier()(await sign(claims(), key, { kid: undefined }))).username).toBe('alice');
  });

  it('each of several issuers is believed with its own keys only', async () => {
    const other = { issuer: 'https://other.example', jwksUrls: [`${base}/other`] };
    const verify = verifier({}, other);
    expect((await verify(await sign())).issuer).toBe(base);
    const foreign = claims({ iss: other.issuer });
    expect((await verify(await sign(foreign, nextKey, { kid: 'k1' }))).issuer).toBe(other.issuer);
    await expect(verify(await sign(foreign, key))).rejects.toEqual(invalid());
  });

  it('the username is that of the table, else that of the pattern, which must fit the whole claim', async () => {
    const mapped = {
      usernameClaim: 'email',
      usernames: { 'root@hpc.example': 'admin1' },
      usernamePattern: '([a-z]+)@hpc\\.example|x',
    };
    const verify = verifier(mapped);
    const nameOf = async (email: unknown) => (await verify(await sign(claims({ email })))).username;
    expect(await nameOf('alice@hpc.example')).toBe('alice');
    expect(await nameOf('root@hpc.example')).toBe('admin1');
    for (const email of [
      'alice@hpc.example.evil',
      'evil alice@hpc.example',
      'x',
      'alice@hpc.example\n',
      'constructor',
      7,
    ]) {
      await expect(nameOf(email), String(email)).rejects.toMatchObject({ code: 'UsernameClaimMissing' });
    }
    await expect(verifier({ usernames: { 's-1': 'alice' } })(await sign())).rejects.toMatchObject({
      code: 'UsernameClaimMissing',
      message: 'The claim preferred_username of the access token names no user of the clusters.',
    });
    const toRoot = verifier({ usernames: { alice: 'root' } });
    await expect(toRoot(await sign())).rejects.toMatchObject({ code: 'Forbidden' });
  });

  it('a token is taken down to the last ten seconds of its life', async () => {
    const taken = verifier({ minimumLifeSeconds: 10 });
    expect((await taken(await sign(claims({ exp: seconds() + 10 })))).username).toBe('alice');
    await expect(taken(await sign(claims({ exp: seconds() + 9 })))).rejects.toMatchObject({ code: 'TokenExpired' });
  });

  it('a token that was verified is not verified again, and no longer believed than it lives', async () => {
    const verify = verifier();
    const token = await sign(claims({ exp: seconds() + 40 }));
    await verify(token);
    await verify(token);
    expect(fetches).toBe(1);
    nowMs += 29_000;
    expect((await verify(token)).username).toBe('alice');
    nowMs += 2_000;
    await expect(verify(token)).rejects.toEqual(
      refusal('TokenExpired', 'Access token expires too soon (less than 10s remaining).'),
    );
    nowMs += 20_000;
    await expect(verify(token)).rejects.toEqual(refusal('TokenExpired', 'Access token expired'));
  });
});

describe('refused', () => {
  it.each<[string, () => Promise<string> | string]>([
    ['no JWT at all', () => 'abc'],
    ['alg none', () => new UnsecuredJWT(claims()).encode()],
    [
      'HS256 with the public key as the secret',
      async () =>
        new SignJWT(claims())
          .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
          .sign(new TextEncoder().encode(await exportSPKI(key.publicKey))),
    ],
    ['a key of somebody else under our kid', () => sign(claims(), nextKey, { kid: 'k1' })],
    ['a key carried in the header', () => sign(claims(), nextKey, { kid: 'k9', jwk: nextKey.jwk })],
    ['an algorithm outside the list', async () => sign(claims(), await newKey('p1', 'PS256'))],
    ['another audience', () => sign(claims({ aud: 'other' }))],
    ['no audience', () => sign(without('aud'))],
    ['another issuer', () => sign(claims({ iss: 'https://evil.example' }))],
    ['no expiry', () => sign(without('exp'))],
    ['not yet valid', () => sign(claims({ nbf: seconds() + 60 }))],
    ['an ID or logout token', () => sign(claims(), key, { typ: 'logout+jwt' })],
    [
      'a changed payload',
      async () => {
        const [head, , signature] = (await sign()).split('.');
        return `${head}.${Buffer.from(JSON.stringify(claims({ preferred_username: 'bob' }))).toString('base64url')}.${signature}`;
      },
    ],
    ['twenty thousand characters', () => 'a'.repeat(20_000)],
  ])('%s', async (_name, make) => {
    await expect(verifier()(await make())).rejects.toEqual(invalid());
  });

  it('HS256 and none stay refused when a configuration lists them', async () => {
    const verify = verifier({ algorithms: ['RS256', 'HS256', 'none'] });
    await expect(verify(new UnsecuredJWT(claims()).encode())).rejects.toEqual(invalid());
  });

  it('an expired token, with clock skew allowed for', async () => {
    await expect(verifier()(await sign(claims({ exp: seconds() - 60 })))).rejects.toEqual(
      refusal('TokenExpired', 'Access token expired'),
    );
    const lenient = verifier({ minimumLifeSeconds: 0 });
    expect((await lenient(await sign(claims({ exp: seconds() - 3 })))).username).toBe('alice');
    expect((await lenient(await sign(claims({ nbf: seconds() + 3 })))).username).toBe('alice');
  });

  it('a missing scope is 403', async () => {
    const verify = verifier({ requiredScopes: ['hpc'] });
    await expect(verify(await sign(claims({ scope: 'openid hpcx' })))).rejects.toMatchObject({ code: 'Forbidden' });
    expect((await verify(await sign(claims({ scope: 'openid hpc' })))).username).toBe('alice');
  });

  it.each([undefined, '', 7, '-rf', 'a b', 'a/../b', 'a\nb', '$(id)', 'x'.repeat(33)])(
    'the username %j never reaches a cluster',
    async (name) => {
      await expect(verifier()(await sign(claims({ preferred_username: name })))).rejects.toMatchObject({
        code: 'UsernameClaimMissing',
      });
    },
  );

  it('nobody acts as root', async () => {
    await expect(verifier()(await sign(claims({ preferred_username: 'root' })))).rejects.toMatchObject({
      code: 'Forbidden',
    });
  });
});

describe('rotation and outages', () => {
  it('an unknown kid makes the keys be read again, at most once in the cool-down', async () => {
    const verify = verifier();
    await verify(await sign());
    const rotated = await sign(claims(), nextKey);
    await expect(verify(rotated)).rejects.toEqual(invalid());
    expect(fetches).toBe(1);
    published = [nextKey.jwk];
    nowMs += 31_000;
    expect((await verify(rotated)).username).toBe('alice');
    expect(fetches).toBe(2);
    await Promise.allSettled([1, 2, 3].map(async (n) => verify(await sign(claims(), key, { kid: `invented-${n}` }))));
    expect(fetches).toBe(2);
  });

  it('a withdrawn key is not believed from the cache of verified tokens', async () => {
    const verify = verifier();
    const old = await sign();
    await verify(old);
    published = [nextKey.jwk];
    nowMs += 31_000;
    await verify(await sign(claims(), nextKey));
    await expect(verify(old)).rejects.toEqual(invalid());
  });

  it('an issuer that is down from the start is 503, and is asked again without a restart', async () => {
    status = 500;
    const verify = verifier();
    await expect(verify(await sign())).rejects.toMatchObject({ code: 'IssuerUnavailable' });
    status = 200;
    nowMs += 1_500;
    expect((await verify(await sign())).username).toBe('alice');
  });

  it('an issuer that goes down later changes nothing while its keys are known', async () => {
    const verify = verifier();
    await verify(await sign());
    status = 500;
    nowMs += 700_000;
    expect((await verify(await sign())).username).toBe('alice');
    await expect(verify(await sign(claims(), nextKey))).rejects.toEqual(invalid());
  });

  it('one broken key set of two leaves the keys of the other', async () => {
    const verify = verifier({ jwksUrls: ['http://127.0.0.1:1/keys', `${base}/keys`] });
    expect((await verify(await sign())).username).toBe('alice');
  });

  it('a key set that unfolds to more than a key set is given up', async () => {
    bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024, 0x20));
    expect(bomb.length).toBeLessThan(64 * 1024);
    await expect(verifier()(await sign())).rejects.toMatchObject({ code: 'IssuerUnavailable' });
    bomb = undefined;
    nowMs += 1_500;
    expect((await verifier()(await sign())).username).toBe('alice');
  });

  it('many requests with one new token cost one fetch', async () => {
    const verify = verifier();
    const token = await sign();
    await Promise.all(Array.from({ length: 50 }, () => verify(token)));
    expect(fetches).toBe(1);
  });
});
