/** Tokens that are bound to a key (RFC 9449), from a real issuer, at two API processes that share one Redis. */
import { fileURLToPath } from 'node:url';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Daemon, startDaemon } from '../../lab/daemon.ts';
import { portAt, startOnFreePorts } from '../../lab/free-ports.ts';
import { createProofKey, type ProofKey, type ProofOptions, signProof } from '../../lab/oidc/proofs.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { connectRedis } from '../../shared/platform/redis.ts';
import { silent } from '../integration/ssh-fixture.ts';
import { type Broker, createClient, locationOf, startBroker, taskEnd } from './broker-fixture.ts';

const lab = inject('lab');
/** What stands before the API, which proofs must name: not the address that this test calls. */
const publicUrl = 'https://hpc.example.org/fc';

let key: ProofKey;
let broker: Broker;
let second: { daemon: Daemon; url: string };

const issuer = { issuer: lab.oidc.issuer, audiences: [lab.oidc.audience] };
const goldcrest = (dpop: string, dpopNonce = false) => ({
  api: { public_url: publicUrl },
  issuers: [{ ...issuer, dpop, dpop_nonce: dpopNonce }],
});

beforeAll(async () => {
  [key, broker] = await Promise.all([
    createProofKey(),
    startBroker(lab, { scheduler: 'process', goldcrest: goldcrest('allowed') }),
  ]);
  second = await startSecondApi({});
});

afterAll(async () => {
  await second?.daemon.stop();
  await broker?.stop();
});

/** Another API process with the broker's configuration, and with settings of its own. */
function startSecondApi(settings: Record<string, string>): Promise<{ daemon: Daemon; url: string }> {
  const repository = fileURLToPath(new URL('../..', import.meta.url));
  return startOnFreePorts(1, async (ports) => {
    const port = portAt(ports, 0);
    const url = `http://127.0.0.1:${port}`;
    const env = { GOLDCREST_CONFIG: broker.configFile, GOLDCREST_API__PORT: String(port), ...settings };
    const daemon = await startDaemon({
      ...{ name: `dpop-api-${port}`, folder: lab.folder, cwd: repository, command: process.execPath },
      args: [`${repository}/dist/api/main.js`],
      env: { NODE_ENV: 'production', ...env },
      isReady: async () => (await fetch(`${url}/livez`)).ok,
      readyTimeoutMs: 60_000,
    });
    return { daemon, url };
  });
}

const boundToken = () => requestToken(lab.oidc, 'alice', { proofKey: key });

async function headersFor(token: string, method: string, path: string, options: Partial<ProofOptions> = {}) {
  const url = `${publicUrl}${path.replace(/\?.*/, '')}`;
  return { authorization: `DPoP ${token}`, dpop: await signProof(key, { method, url, token, ...options }) };
}

/** Each request is sent with a proof of its own. */
async function send(at: string, token: string, method: string, path: string, body?: unknown) {
  const headers = await headersFor(token, method, path);
  const options = { token: null, headers, ...(body === undefined ? {} : { body }) };
  return createClient(at, '').send(method, path, options);
}

describe('a token bound to a key', () => {
  it('goes through a task with a proof for each request, at whichever process', async () => {
    const token = await boundToken();
    expect(decodeJwt(token)).toMatchObject({ cnf: { jkt: key.thumbprint }, preferred_username: 'gcalice' });
    const submitted = await send(broker.url, token, 'POST', '/tasks', {
      ...{ operation: 'filesystem.stat', system: 'lab', input: { path: '/tmp' } },
    });
    expect(submitted.status, submitted.text).toBe(202);
    expect(locationOf(submitted)).toMatch(/^https:\/\/hpc\.example\.org\/fc\/tasks\//);
    const path = `/tasks/${submitted.body.id}?wait=5`;
    const bearer = createClient(broker.url, await requestToken(lab.oidc, 'alice'));
    expect(await taskEnd(bearer, `/tasks/${submitted.body.id}`)).toMatchObject({ state: 'completed' });
    expect((await send(second.url, token, 'GET', path)).body.state).toBe('completed');
  });

  it('is refused as a bearer token, also by a process that has just taken it with a proof', async () => {
    const token = await boundToken();
    expect((await send(broker.url, token, 'GET', '/tasks')).status).toBe(200);
    const answer = await createClient(broker.url, token).get('/tasks');
    expect([answer.status, answer.body]).toMatchObject([401, { code: 'TokenInvalid' }]);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token".+, DPoP algs="ES256 .+"/);
  });

  it('is of no use to who copied a request, at the same process or another', async () => {
    const token = await boundToken();
    const headers = await headersFor(token, 'GET', '/tasks');
    const sent = (at: string, path = '/tasks', method = 'GET') =>
      createClient(at, '').send(method, path, { token: null, headers });
    const answers = await Promise.all([broker.url, second.url, broker.url, second.url].map((at) => sent(at)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
    for (const [at, path, method] of [
      [broker.url, '/tasks', 'GET'],
      [second.url, '/limits', 'GET'],
      [second.url, '/tasks/01900000-0000-7000-8000-000000000000', 'DELETE'],
    ] as const) {
      expect((await sent(at, path, method)).body.code).toBe('ProofInvalid');
    }
  });

  it('with a proof for the address within, or made long ago, is refused', async () => {
    const token = await boundToken();
    for (const options of [{ url: `${broker.url}/tasks` }, { claims: { iat: Math.floor(Date.now() / 1_000) - 120 } }]) {
      const headers = await headersFor(token, 'GET', '/tasks', options);
      const answer = await createClient(broker.url, '').get('/tasks', { token: null, headers });
      expect([answer.status, answer.body.code]).toEqual([401, 'ProofInvalid']);
    }
  });

  it('leaves in Redis what is forgotten within two minutes or so', async () => {
    const redis = connectRedis(lab.redis.url, 'persist', silent);
    try {
      const names = await redis.keys(`${broker.keyPrefix}:dpop:*`);
      expect(names.length).toBeGreaterThan(0);
      for (const name of names)
        expect(await redis.pttl(name)).toSatisfy((ms: number) => ms === -2 || (ms > 0 && ms <= 131_000));
    } finally {
      redis.disconnect();
    }
  });
});

it('an issuer whose tokens must be bound, with nonces: a client learns all that from the API', async () => {
  const prefix = { GOLDCREST_ISSUERS__0__DPOP: 'required', GOLDCREST_ISSUERS__0__DPOP_NONCE: 'true' };
  const [strict, twin] = await Promise.all([startSecondApi(prefix), startSecondApi(prefix)]);
  try {
    const metadata = await (await fetch(`${strict.url}/.well-known/oauth-protected-resource/fc`)).json();
    expect(metadata).toMatchObject({
      authorization_servers: [lab.oidc.issuer],
      dpop_bound_access_tokens_required: true,
      dpop_signing_alg_values_supported: expect.arrayContaining(['ES256']),
    });
    const unbound = await createClient(strict.url, await requestToken(lab.oidc, 'alice')).get('/tasks');
    expect([unbound.status, unbound.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringMatching(/^DPoP error="invalid_token".+algs="ES256/),
    ]);
    const token = await boundToken();
    const first = await send(strict.url, token, 'GET', '/tasks');
    expect([first.status, first.body.code]).toEqual([401, 'ProofNonceRequired']);
    const nonce = first.headers.get('dpop-nonce') ?? '';
    // The nonce of one process is one of the other too.
    for (const at of [strict.url, twin.url]) {
      const headers = await headersFor(token, 'GET', '/tasks', { nonce });
      const answer = await createClient(at, '').get('/tasks', { token: null, headers });
      expect(answer.status, answer.text).toBe(200);
    }
  } finally {
    await Promise.all([strict.daemon.stop(), twin.daemon.stop()]);
  }
});
