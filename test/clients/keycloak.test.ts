/**
 * Keycloak, with the realm of docker-compose.yml, as one of two issuers: programs and people it names use the broker, also
 * by an unmodified client and with tokens bound to a key; what is not for us is refused; its keys change while we run.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createLabFolder, reapLab } from '../../lab/lab-folder.ts';
import { createProofKey, signProof } from '../../lab/oidc/proofs.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { type KeycloakPart, startKeycloak } from '../../lab/parts/keycloak.ts';
import { type Broker, type Client, createClient, locationOf, startBroker, taskEnd } from '../system/broker-fixture.ts';
import { pythonEnvironment, pythonProgram } from './python.ts';

const lab = inject('lab');
const folder = createLabFolder();
let keycloak: KeycloakPart;
let broker: Broker;

beforeAll(async () => {
  keycloak = await startKeycloak(folder);
  await keycloak.admin('POST', '/users', person);
  await keycloak.admin('POST', '/clients', portal);
  await keycloak.admin('POST', '/clients', foreign);
  broker = await startBroker(lab, {
    scheduler: 'process',
    hasPublicUrl: true,
    goldcrest: {
      issuers: [
        { issuer: lab.oidc.issuer, audiences: [lab.oidc.audience] },
        {
          ...{
            issuer: keycloak.issuer,
            audiences: ['goldcrest'],
            algorithms: ['RS256'],
            required_scopes: ['goldcrest'],
          },
          // The realm's names are not those of the lab's accounts.
          usernames: { alice: 'gcalice', bob: 'gcbob', goldcrest: 'gcsvc' },
          username_pattern: '([a-z]+)@hpc\\.example',
          dpop: 'allowed',
        },
      ],
    },
  });
});

afterAll(async () => {
  await broker?.stop();
  await keycloak?.stop();
  reapLab(folder);
});

const password = 'a-password-of-this-test';
const person = {
  ...{ username: 'gccarol@hpc.example', email: 'gccarol@hpc.example', firstName: 'Carol', lastName: 'C' },
  ...{ enabled: true, emailVerified: true, credentials: [{ type: 'password', value: password, temporary: false }] },
};
/** A program that people log in with by name and password; their name is the claim. */
const portal = {
  ...{ clientId: 'portal', publicClient: true, directAccessGrantsEnabled: true, defaultClientScopes: ['goldcrest'] },
  protocolMappers: [
    {
      ...{ name: 'name', protocol: 'openid-connect', protocolMapper: 'oidc-usermodel-attribute-mapper' },
      config: { 'user.attribute': 'username', 'claim.name': 'preferred_username', 'access.token.claim': 'true' },
    },
  ],
};
/** A client of another service, which says that it is alice. */
const foreign = {
  ...{ clientId: 'foreign', secret: 'foreign-secret', serviceAccountsEnabled: true, defaultClientScopes: [] },
  protocolMappers: [
    {
      ...{ name: 'name', protocol: 'openid-connect', protocolMapper: 'oidc-hardcoded-claim-mapper' },
      config: { 'claim.name': 'preferred_username', 'claim.value': 'alice', 'access.token.claim': 'true' },
    },
  ],
};

/** What a client finds by the address of the broker alone (RFC 9728, then OpenID discovery). */
async function discovered(): Promise<string> {
  const refused = await fetch(`${broker.url}/status/systems`);
  const [, metadataUrl = ''] = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '') ?? [];
  const { authorization_servers: issuers } = (await (await fetch(metadataUrl)).json()) as Record<string, string[]>;
  expect(issuers).toEqual([lab.oidc.issuer, keycloak.issuer]);
  const discovery = await fetch(`${issuers?.[1]}/.well-known/openid-configuration`);
  return ((await discovery.json()) as { token_endpoint: string }).token_endpoint;
}

async function token(form: Record<string, string>, headers: Record<string, string> = {}): Promise<string> {
  const url = `${keycloak.issuer}/protocol/openid-connect/token`;
  const response = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(form) });
  const answer = (await response.json()) as { access_token?: string };
  if (answer.access_token === undefined) throw new Error(`${response.status} ${JSON.stringify(answer)}`);
  return answer.access_token;
}

const ofProgram = (name: keyof KeycloakPart['secrets'], headers: Record<string, string> = {}) =>
  token({ grant_type: 'client_credentials', client_id: name, client_secret: keycloak.secrets[name] }, headers);

async function whoAmI(client: Client): Promise<unknown> {
  const { status, text, body } = await client.get('/status/lab/userinfo');
  expect(status, text).toBe(200);
  return (body.user as { name: string }).name;
}

async function refusalOf(bearer: string) {
  const { status, body } = await createClient(broker.url, bearer).get('/status/systems');
  return [status, body.code, body.message];
}

describe('a token of Keycloak', () => {
  it('is found by the address of the broker, and lets its program run a task as its user', async () => {
    expect(await discovered()).toBe(`${keycloak.issuer}/protocol/openid-connect/token`);
    const client = createClient(broker.url, await ofProgram('alice-cli'));
    expect((await client.get('/status/systems')).body.systems).toMatchObject([{ name: 'lab' }]);
    const input = { path: '/home/gcalice' };
    const accepted = await client.post('/tasks', { operation: 'filesystem.stat', system: 'lab', input });
    expect(accepted.status, accepted.text).toBe(202);
    expect(await taskEnd(client, locationOf(accepted).replace(broker.url, ''))).toMatchObject({ state: 'completed' });
  });

  it('names programs, service accounts and people by table and pattern, beside those of another issuer', async () => {
    const people = {
      'alice-cli': await ofProgram('alice-cli'),
      'bob-cli': await ofProgram('bob-cli'),
      service: await ofProgram('service'),
      portal: await token({ grant_type: 'password', client_id: 'portal', username: person.username, password }),
      other: await requestToken(lab.oidc, 'dash'),
    };
    const names = await Promise.all(Object.values(people).map((bearer) => whoAmI(createClient(broker.url, bearer))));
    expect(names).toEqual(['gcalice', 'gcbob', 'gcsvc', 'gccarol', 'gcdash']);
  });

  it('is what an unmodified pyfirecrest gets and renews by itself', async () => {
    const script = [
      'import os, firecrest',
      'auth = firecrest.ClientCredentialsAuth(os.environ["ID"], os.environ["SECRET"], os.environ["TOKEN_URI"])',
      'client = firecrest.v2.Firecrest(os.environ["URL"], authorization=auth)',
      'print(client.systems()[0]["name"], client.userinfo("lab")["user"]["name"])',
    ].join('\n');
    const { stdout } = await promisify(execFile)(pythonProgram('python'), ['-c', script], {
      timeout: 60_000,
      env: {
        ...{ ...pythonEnvironment(), ID: 'bob-cli', SECRET: keycloak.secrets['bob-cli'], URL: broker.url },
        TOKEN_URI: `${keycloak.issuer}/protocol/openid-connect/token`,
      },
    });
    expect(stdout.trim()).toBe('lab gcbob');
  });

  it('bound to a key is taken with a proof, once, and not without', async () => {
    const key = await createProofKey();
    const endpoint = `${keycloak.issuer}/protocol/openid-connect/token`;
    const bound = await ofProgram('alice-cli', { dpop: await signProof(key, { method: 'POST', url: endpoint }) });
    expect(decodeJwt(bound).cnf).toMatchObject({ jkt: key.thumbprint });
    const path = '/status/lab/userinfo';
    const proof = await signProof(key, { method: 'GET', url: `${broker.url}${path}`, token: bound });
    const headers = { authorization: `DPoP ${bound}`, dpop: proof };
    const send = () => createClient(broker.url, '').get(path, { token: null, headers });
    const answer = await send();
    expect([answer.status, answer.body.user], answer.text).toMatchObject([200, { name: 'gcalice' }]);
    expect((await send()).body.code).toBe('ProofInvalid');
    expect(await refusalOf(bound)).toEqual([401, 'TokenInvalid', expect.stringContaining('bound to a key')]);
  });

  it('for another service is refused, and so is one whose time is over or nearly so', async () => {
    const other = await token({
      grant_type: 'client_credentials',
      client_id: 'foreign',
      client_secret: foreign.secret,
    });
    expect(decodeJwt(other)).toMatchObject({ iss: keycloak.issuer, preferred_username: 'alice' });
    expect(await refusalOf(other)).toEqual([401, 'TokenInvalid', 'Access token is invalid.']);
    const realm = (await keycloak.admin('GET', '')) as object;
    await keycloak.admin('PUT', '', { ...realm, accessTokenLifespan: 4 });
    const short = await ofProgram('alice-cli');
    await keycloak.admin('PUT', '', { ...realm, accessTokenLifespan: 600 });
    expect(await refusalOf(short)).toEqual([401, 'TokenExpired', expect.stringMatching(/expire/)]);
    await vi.waitFor(
      async () => expect(await refusalOf(short)).toEqual([401, 'TokenExpired', 'Access token expired']),
      { timeout: 30_000, interval: 250 },
    );
  });
});

interface KeyProvider {
  id: string;
  name: string;
  providerId: string;
}

it('new keys are taken up, and what the withdrawn one signed is refused', async () => {
  const old = await ofProgram('alice-cli');
  expect((await createClient(broker.url, old).get('/status/systems')).status).toBe(200);
  const parentId = ((await keycloak.admin('GET', '')) as { id: string }).id;
  const providers = '/components?type=org.keycloak.keys.KeyProvider';
  const before = (await keycloak.admin('GET', providers)) as KeyProvider[];
  await keycloak.admin('POST', '/components', {
    ...{ name: 'next', providerId: 'rsa-generated', providerType: 'org.keycloak.keys.KeyProvider', parentId },
    config: { priority: ['500'], enabled: ['true'], active: ['true'], algorithm: ['RS256'], keySize: ['2048'] },
  });
  for (const { id, providerId } of before) {
    if (providerId === 'rsa-generated') await keycloak.admin('DELETE', `/components/${id}`);
  }
  const fresh = await ofProgram('alice-cli');
  expect(decodeProtectedHeader(fresh).kid).not.toBe(decodeProtectedHeader(old).kid);
  // The issuer is asked for new keys once in 30 s at most.
  await vi.waitFor(
    async () => expect((await createClient(broker.url, fresh).get('/status/systems')).status).toBe(200),
    {
      ...{ timeout: 60_000, interval: 500 },
    },
  );
  expect(await refusalOf(old)).toEqual([401, 'TokenInvalid', 'Access token is invalid.']);
});

it('tokens are taken while Keycloak is away', async () => {
  const bob = await ofProgram('bob-cli');
  await keycloak.stop();
  expect(await whoAmI(createClient(broker.url, bob))).toBe('gcbob');
});
