/** Proof of possession (RFC 9449): which proofs are taken, which tokens need one, and what a client is told. */
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { exportJWK, generateKeyPair, generateSecret, SignJWT } from 'jose';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProofChecker } from '../../api/auth/proof-checker.ts';
import { createProofTarget, normaliseTarget } from '../../api/auth/proof-target.ts';
import { createTokenVerifier } from '../../api/auth/token-verifier.ts';
import { createProofKey, type ProofKey, type ProofOptions, signProof } from '../../lab/oidc/proofs.ts';
import type { IssuerConfig } from '../../shared/platform/config/config.ts';
import { nonceMs, type ProofMemory } from '../../shared/platform/proof-memory.ts';
import { createLocalGate, createTestApp } from './api-fixture.ts';

const publicUrl = 'https://hpc.example/fc';
const url = `${publicUrl}/tasks`;
const issuers = { allowed: 'https://allowed.test', required: 'https://required.test', off: 'https://off.test' };
const keysFile = join(tmpdir(), `goldcrest-dpop-${process.pid}.json`);
let nowMs = Date.now();

let signer: Awaited<ReturnType<typeof generateKeyPair>>;
let key: ProofKey;
let other: ProofKey;
beforeAll(async () => {
  signer = await generateKeyPair('ES256', { extractable: true });
  writeFileSync(
    keysFile,
    JSON.stringify({ keys: [{ ...(await exportJWK(signer.publicKey)), kid: 'k', alg: 'ES256' }] }),
  );
  [key, other] = await Promise.all([createProofKey(), createProofKey()]);
});
afterAll(() => rmSync(keysFile));

function issue(dpop: IssuerConfig['dpop'], cnf?: unknown): Promise<string> {
  return new SignJWT({ preferred_username: 'alice', ...(cnf === undefined ? {} : { cnf }) })
    .setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'at+jwt' })
    .setIssuer(issuers[dpop])
    .setAudience('goldcrest')
    .setExpirationTime('10m')
    .sign(signer.privateKey);
}
const bound = (dpop: IssuerConfig['dpop'] = 'allowed') => issue(dpop, { jkt: key.thumbprint });

/** What Redis remembers, in this process alone; the real one is in test/system/dpop.test.ts. */
function localMemory(): ProofMemory {
  const seen = new Set<string>();
  const nonceAt = (atMs: number) => `nonce-${Math.floor(atMs / nonceMs)}`;
  return {
    remember: async (id) => !seen.has(id) && seen.add(id) !== undefined,
    freshNonce: async (atMs) => nonceAt(atMs),
    isKnownNonce: async (nonce, atMs) => [nonceAt(atMs - nonceMs), nonceAt(atMs)].includes(nonce),
  };
}

function verifierOf(overrides: Partial<IssuerConfig> = {}) {
  const base = { jwksUrls: [pathToFileURL(keysFile).href], audiences: ['goldcrest'], acceptAnyAudience: false };
  const names = { usernameClaim: 'preferred_username', usernames: {}, usernamePattern: null, requiredScopes: [] };
  const times = { algorithms: ['ES256'], clockSkewSeconds: 5, minimumLifeSeconds: 5 };
  const endpoint = { tokenUrl: null, tokenEndpointAuthMethod: 'client_secret_basic' as const, scopes: {} };
  const all = Object.entries(issuers).map(([dpop, issuer]) => ({
    ...{ ...base, ...names, ...times, ...endpoint, issuer },
    ...{ dpop: dpop as IssuerConfig['dpop'], dpopNonce: false, ...overrides },
  }));
  const checkProof = createProofChecker(localMemory(), () => nowMs);
  return createTokenVerifier({ issuers: all, checkProof, log: pino({ level: 'silent' }) });
}

function sentWith(proof: string | undefined) {
  const told: string[] = [];
  return { proof, method: 'GET', target: normaliseTarget(url), tellNonce: (nonce: string) => told.push(nonce), told };
}

async function proofFor(token: string, options: Partial<ProofOptions> = {}, signing = key): Promise<string> {
  return signProof(signing, { method: 'GET', url, token, ...options });
}

describe('a proof', () => {
  it.each(['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA'])('signed with %s is taken, once', async (alg) => {
    const verify = verifierOf();
    const signing = await createProofKey(alg);
    const token = await issue('allowed', { jkt: signing.thumbprint });
    const sent = sentWith(await proofFor(token, {}, signing));
    expect((await verify(token, sent)).username).toBe('alice');
    await expect(verify(token, sent)).rejects.toMatchObject({ code: 'ProofInvalid', message: /used before/ });
    expect((await verify(token, sentWith(await proofFor(token, {}, signing)))).username).toBe('alice');
  });

  it.each<[string, (token: string) => Promise<string | undefined>, RegExp]>([
    ['none', async () => undefined, /header is missing/],
    ['text', async () => 'abc', /one signed JWT/],
    ['two at once', async (token) => `${await proofFor(token)}, ${await proofFor(token)}`, /one signed JWT/],
    ['5,000 characters', async (token) => proofFor(token, { claims: { x: 'y'.repeat(5_000) } }), /longer than 4096/],
    ['another type of JWT', (token) => proofFor(token, { header: { typ: 'jwt' } }), /dpop\+jwt/],
    ['no type', (token) => proofFor(token, { header: { typ: undefined } }), /dpop\+jwt/],
    ['no key', (token) => proofFor(token, { header: { jwk: undefined } }), /public key/],
    ['a key that is none', (token) => proofFor(token, { header: { jwk: { kty: 'EC' } } }), /no public key/],
    [
      'a private key',
      async (token) => proofFor(token, { header: { jwk: await exportJWK(key.privateKey) } }),
      /signature does not fit/,
    ],
    [
      'a symmetric signature',
      async (token) => {
        const secret = await generateSecret('HS256', { extractable: true });
        const jwk = await exportJWK(secret);
        return new SignJWT({ htm: 'GET', htu: url, jti: token.slice(-9), iat: Math.floor(nowMs / 1_000) })
          .setProtectedHeader({ typ: 'dpop+jwt', alg: 'HS256', jwk })
          .sign(secret);
      },
      /`alg` must be one of ES256/,
    ],
    [
      'alg none',
      async (token) =>
        (await proofFor(token)).replace(/^[^.]+/, Buffer.from('{"alg":"none","typ":"dpop+jwt"}').toString('base64url')),
      /`alg` must/,
    ],
    ['the signature of another key', (token) => proofFor(token, { header: { jwk: key.jwk } }, other), /signature/],
    [
      'a changed claim',
      async (token) => {
        const [head, , signature] = (await proofFor(token)).split('.');
        return `${head}.${Buffer.from(JSON.stringify({ htm: 'GET' })).toString('base64url')}.${signature}`;
      },
      /signature/,
    ],
    ['another method', (token) => proofFor(token, { method: 'POST' }), /`htm`/],
    ['another path', (token) => proofFor(token, { url: `${publicUrl}/limits` }), /`htu`/],
    ['another host', (token) => proofFor(token, { url: 'https://evil.example/fc/tasks' }), /`htu`/],
    ['the address within', (token) => proofFor(token, { url: 'https://hpc.example/tasks' }), /`htu`/],
    ['another token', async () => proofFor(await bound()), /`ath`/],
    ['no token', (token) => proofFor(token, { claims: { ath: undefined } }), /must carry jti, htm, htu, iat and ath/],
    ['no jti', (token) => proofFor(token, { claims: { jti: undefined } }), /must carry jti/],
    ['no time', (token) => proofFor(token, { claims: { iat: undefined } }), /must carry jti/],
    ['a time long ago', (token) => proofFor(token, { claims: { iat: nowMs / 1_000 - 62 } }), /`iat` is more than 60 s/],
    ['a time to come', (token) => proofFor(token, { claims: { iat: nowMs / 1_000 + 62 } }), /`iat` is more than 60 s/],
  ])('with %s is refused', async (_name, make, message) => {
    const token = await bound();
    await expect(verifierOf()(token, sentWith(await make(token)))).rejects.toMatchObject({
      code: 'ProofInvalid',
      message,
    });
  });

  it('of any kind that is none is refused, and breaks nothing', async () => {
    const verify = verifierOf();
    const token = await bound();
    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url');
    const headers = fc.record(
      {
        typ: fc.oneof(fc.constant('dpop+jwt'), fc.jsonValue()),
        alg: fc.oneof(fc.constantFrom('ES256', 'RS256', 'none', 'HS256'), fc.jsonValue()),
        jwk: fc.oneof(
          fc.constant(key.jwk),
          fc.jsonValue(),
          fc.record({ kty: fc.constantFrom('EC', 'RSA', 'oct', 'OKP') }),
        ),
        crit: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const made = fc
      .tuple(headers, fc.jsonValue(), fc.string())
      .map(([head, claims, end]) => [encoded(head), encoded(claims), Buffer.from(end).toString('base64url')].join('.'));
    await fc.assert(
      fc.asyncProperty(fc.oneof(made, fc.string({ unit: 'binary' })), async (proof) => {
        await expect(verify(token, sentWith(proof))).rejects.toMatchObject({
          code: expect.stringMatching(/^(ProofInvalid|TokenInvalid)$/),
        });
      }),
      { numRuns: 500, seed: 9449 },
    );
  });

  it('by another key than the token’s is no proof for it', async () => {
    const token = await bound();
    await expect(verifierOf()(token, sentWith(await proofFor(token, {}, other)))).rejects.toMatchObject({
      code: 'TokenInvalid',
      message: /bound to another key/,
    });
  });

  it('is for the public address, whichever way the request came, without query, in any spelling of the same', async () => {
    const targetOf = createProofTarget(publicUrl, '/fc');
    for (const came of [
      'http://10.0.0.7:8000/fc/tasks?x=1',
      'http://evil.example/tasks#a',
      'http://127.0.0.1/fc/t%61sks',
    ]) {
      expect(targetOf(came)).toBe(url);
    }
    for (const said of [`${url}?a=b`, 'HTTPS://HPC.example:443/fc/./tasks#x', 'https://hpc.example/fc/%74asks']) {
      expect(normaliseTarget(said)).toBe(url);
    }
    expect(normaliseTarget('https://hpc.example/a%2fb')).toBe('https://hpc.example/a%2Fb');
    for (const said of ['', '/tasks', 'ftp://hpc.example/fc/tasks', 'https://u:p@hpc.example/fc/tasks']) {
      expect(normaliseTarget(said)).not.toBe(url);
    }
  });

  it('must carry a nonce where that is configured; its own clock then counts for nothing', async () => {
    const verify = verifierOf({ dpopNonce: true });
    const token = await bound();
    const without = sentWith(await proofFor(token, { claims: { iat: 1 } }));
    await expect(verify(token, without)).rejects.toMatchObject({ code: 'ProofNonceRequired' });
    const [nonce = ''] = without.told;
    const invented = sentWith(await proofFor(token, { nonce: 'invented' }));
    await expect(verify(token, invented)).rejects.toMatchObject({ code: 'ProofNonceRequired' });
    const good = sentWith(await proofFor(token, { nonce, claims: { iat: 1 } }));
    expect((await verify(token, good)).username).toBe('alice');
    expect(good.told).toEqual([]);
    await expect(verify(token, good)).rejects.toMatchObject({ code: 'ProofInvalid', message: /used before/ });
    nowMs += nonceMs;
    const late = sentWith(await proofFor(token, { nonce }));
    expect((await verify(token, late)).username).toBe('alice');
    expect(late.told).toHaveLength(1);
    nowMs += nonceMs;
    const over = sentWith(await proofFor(token, { nonce }));
    await expect(verify(token, over)).rejects.toMatchObject({ code: 'ProofNonceRequired' });
    nowMs -= 2 * nonceMs;
  });
});

describe('a token', () => {
  it.each(['off', 'allowed', 'required'] as const)(
    'bound to a key is never a bearer token (dpop: %s)',
    async (dpop) => {
      const verify = verifierOf();
      const token = await bound(dpop);
      for (let time = 0; time < 2; time += 1) {
        await expect(verify(token)).rejects.toMatchObject({ code: 'TokenInvalid', message: /bound to a key/ });
      }
    },
  );

  it('that was verified before still needs a proof, each time', async () => {
    const verify = verifierOf();
    const token = await bound();
    await verify(token, sentWith(await proofFor(token)));
    await expect(verify(token, sentWith(undefined))).rejects.toMatchObject({ code: 'ProofInvalid' });
    await expect(verify(token)).rejects.toMatchObject({ code: 'TokenInvalid' });
    await expect(verify(token, sentWith(await proofFor(token, { method: 'PUT' })))).rejects.toMatchObject({
      code: 'ProofInvalid',
    });
  });

  it('bound to nothing is a bearer token, and only where those are taken', async () => {
    const verify = verifierOf();
    const unbound = await issue('allowed');
    expect((await verify(unbound)).username).toBe('alice');
    await expect(verify(unbound, sentWith(await proofFor(unbound)))).rejects.toMatchObject({
      code: 'TokenInvalid',
      message: /bound to no key/,
    });
    await expect(verify(await issue('required'))).rejects.toMatchObject({
      code: 'TokenInvalid',
      message: /must be bound/,
    });
    const off = await bound('off');
    await expect(verify(off, sentWith(await proofFor(off)))).rejects.toMatchObject({ message: /not taken with DPoP/ });
  });

  it.each([7, '', 'short', { a: 1 }, `${'a'.repeat(43)}=`])('with the binding %j is invalid', async (jkt) => {
    await expect(verifierOf()(await issue('allowed', { jkt }))).rejects.toMatchObject({ code: 'TokenInvalid' });
  });
});

describe('over HTTP', () => {
  const appWith = (modes: IssuerConfig['dpop'][], overrides: Partial<IssuerConfig> = {}) =>
    createTestApp(
      createLocalGate().gate,
      { verifyToken: verifierOf(overrides) },
      { publicUrl, corsOrigins: ['https://portal.example'] },
      modes,
    );
  const metadata = 'resource_metadata="https://hpc.example/.well-known/oauth-protected-resource/fc"';
  const algs = 'algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 PS384 PS512 RS256 RS384 RS512"';
  const challenge = (response: Response) => response.headers.get('www-authenticate');

  it('a request with token and proof is answered, and the same once more is not', async () => {
    const app = appWith(['allowed']);
    const token = await bound();
    const headers = { authorization: `DPoP ${token}`, dpop: await proofFor(token) };
    expect((await app.request('/tasks?limit=1', { headers })).status).toBe(200);
    const again = await app.request('/tasks?limit=1', { headers });
    expect([again.status, await again.json()]).toMatchObject([401, { code: 'ProofInvalid', errorType: 'error' }]);
    expect(challenge(again)).toMatch(
      /^Bearer resource_metadata="[^"]+", DPoP error="invalid_dpop_proof", error_description="DPoP proof: it was used/,
    );
  });

  it('who sends nothing is told the schemes of the issuers', async () => {
    const asked = async (modes: IssuerConfig['dpop'][]) => challenge(await appWith(modes).request('/tasks'));
    expect(await asked(['off'])).toBe(`Bearer ${metadata}`);
    expect(await asked(['off', 'allowed'])).toBe(`Bearer ${metadata}, DPoP ${algs}, ${metadata}`);
    expect(await asked(['required', 'required'])).toBe(`DPoP ${algs}, ${metadata}`);
    expect(challenge(await appWith(['off']).request('/tasks', { headers: { authorization: 'DPoP x' } }))).toBe(
      `Bearer ${metadata}`,
    );
  });

  it('the metadata tells programs the same', async () => {
    const metadataOf = async (modes: IssuerConfig['dpop'][]) =>
      (await appWith(modes).request('/.well-known/oauth-protected-resource/fc')).json();
    const proofs = { dpop_signing_alg_values_supported: expect.arrayContaining(['ES256', 'RS256', 'EdDSA']) };
    expect(await metadataOf(['off'])).not.toHaveProperty('dpop_signing_alg_values_supported');
    expect(await metadataOf(['allowed', 'off'])).toMatchObject({ ...proofs, bearer_methods_supported: ['header'] });
    expect(await metadataOf(['allowed'])).not.toHaveProperty('dpop_bound_access_tokens_required');
    expect(await metadataOf(['required'])).toMatchObject({
      ...proofs,
      dpop_bound_access_tokens_required: true,
      bearer_methods_supported: [],
    });
  });

  it('a nonce comes with the refusal, and a new one with an answer, where pages of portals may read it', async () => {
    const app = appWith(['allowed'], { dpopNonce: true });
    const token = await bound();
    const send = async (nonce?: string) =>
      app.request('/tasks', {
        headers: {
          authorization: `DPoP ${token}`,
          dpop: await proofFor(token, nonce === undefined ? {} : { nonce }),
          origin: 'https://portal.example',
        },
      });
    const refused = await send();
    expect([refused.status, challenge(refused)]).toEqual([401, expect.stringContaining('DPoP error="use_dpop_nonce"')]);
    const nonce = refused.headers.get('dpop-nonce') ?? '';
    expect(refused.headers.get('access-control-expose-headers')).toContain('dpop-nonce');
    const answered = await send(nonce);
    expect([answered.status, answered.headers.get('dpop-nonce')]).toEqual([200, null]);
    nowMs += nonceMs;
    const later = await send(nonce);
    expect([later.status, later.headers.get('dpop-nonce')]).toEqual([200, expect.stringMatching(/^nonce-/)]);
    nowMs -= nonceMs;
  });

  it('a portal may send proofs', async () => {
    const asked = await appWith(['allowed']).request('/tasks', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://portal.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization,dpop',
      },
    });
    expect(asked.headers.get('access-control-allow-headers')).toBe('authorization,dpop');
  });
});
