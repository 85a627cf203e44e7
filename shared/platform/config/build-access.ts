/** Who may come in and how the worker logs in: issuers, authorization and SSH credentials from the parsed file. */

import type { AuthorizationConfig } from './authorization-config.ts';
import { checkSealingKeys } from './check-sealing-keys.ts';
import type { IssuerConfig, SshCredentialsConfig, TokensConfig } from './config.ts';
import type { Example, Questions } from './questions.ts';
import type { CredentialSettings, FileSettings } from './schema-file.ts';
import { signatureAlgorithms, tokenLifeSeconds } from './schema-firecrest.ts';
import type { IssuerSection } from './schema-issuers.ts';

/** What FirecREST's `0` (no limit) stands for here, where every pool has a bound. */
const connectionsWhenUnlimited = 1_000;
/** Where an example keeps the key of the CA. */
const userCaFile = '/run/secrets/goldcrest_user_ca';

/** The issuers. The first takes what it lacks from FirecREST's `auth.authentication`, key sets included. */
export function buildIssuers(settings: FileSettings, questions: Questions): IssuerConfig[] {
  const sections = settings.goldcrest.issuers;
  const example: Example = { goldcrest: { issuers: sections.map((section) => issuerExample(section, settings)) } };
  return sections.map((section, index) => {
    const key = `goldcrest.issuers[${index}]`;
    const issuer = section.issuer ?? questions.ask({ key: `${key}.issuer`, message: askIssuer, example }, '');
    const audiences = section.audiences ?? [];
    if (section.accept_any_audience) {
      const message = 'tokens meant for other services are accepted; for development only';
      questions.warn(['goldcrest', 'issuers', index, 'accept_any_audience'], message);
    } else if (audiences.length === 0) {
      questions.ask({ key: `${key}.audiences`, message: askAudience, example }, null);
    }
    checkProofs(section, index, settings, questions);
    return { ...inherited(section, index, settings), issuer, audiences };
  });
}

/** A proof names the address it is for, so ours must be known; and where a token goes on from here, none goes with it. */
function checkProofs({ dpop }: IssuerSection, index: number, settings: FileSettings, questions: Questions): void {
  if (dpop === 'off') return;
  if (settings.goldcrest.api.public_url === undefined) {
    const message = 'is required with `dpop`: a proof is for one address, as clients call it';
    const example = { goldcrest: { api: { public_url: 'https://hpc.example.org' } } };
    questions.ask({ key: 'goldcrest.api.public_url', message, example }, null);
  }
  const type = (settings.goldcrest.ssh_credentials ?? settings.ssh_credentials)?.type;
  if (type === 'SSHService' || type === 'SSHCA') {
    const message = `${type} is sent the user's token without a proof, and may refuse one that is bound to a key`;
    questions.warn(['goldcrest', 'issuers', index, 'dpop'], message);
  }
}

const askIssuer = 'is required: the exact `iss` claim of the tokens to accept';
const askAudience = 'is required: what must stand in `aud`, so that tokens for other services are refused';

function issuerExample(section: IssuerSection, settings: FileSettings): Example {
  const keycloak = /^(.+)\/protocol\/openid-connect\/token$/.exec(settings.auth?.authentication.token_url ?? '')?.[1];
  return {
    issuer: section.issuer ?? keycloak ?? 'https://idp.example.org/realms/hpc',
    ...(section.accept_any_audience
      ? { accept_any_audience: true }
      : { audiences: section.audiences ?? ['goldcrest'] }),
    ...(section.jwks_urls ? { jwks_urls: section.jwks_urls } : {}),
  };
}

function inherited(section: IssuerSection, index: number, settings: FileSettings) {
  const upstream = settings.auth?.authentication;
  const first = index === 0 ? upstream : undefined;
  return {
    jwksUrls: section.jwks_urls ?? first?.public_certs ?? [],
    acceptAnyAudience: section.accept_any_audience,
    algorithms: section.algorithms ?? (first?.jwk_algorithm ? [first.jwk_algorithm] : [...signatureAlgorithms]),
    usernameClaim: section.username_claim ?? upstream?.username_claim ?? 'preferred_username',
    usernames: section.usernames,
    usernamePattern: section.username_pattern ?? null,
    requiredScopes: section.required_scopes,
    clockSkewSeconds: section.clock_skew / 1_000,
    minimumLifeSeconds:
      section.minimum_life === undefined ? (upstream?.min_token_ttl ?? tokenLifeSeconds) : section.minimum_life / 1_000,
    dpop: section.dpop,
    dpopNonce: section.dpop_nonce,
    tokenUrl: section.token_url ?? first?.token_url ?? null,
    tokenEndpointAuthMethod:
      section.token_endpoint_auth_method ?? first?.token_endpoint_auth_method ?? 'client_secret_basic',
    scopes: section.scopes ?? first?.scopes ?? {},
  } satisfies Partial<IssuerConfig>;
}

/** OpenFGA where a file names it, FirecREST's `auth.authorization` included; else the built-in policy. */
export function buildAuthorization(settings: FileSettings, questions: Questions): AuthorizationConfig {
  const ours = settings.goldcrest.authorization;
  const upstream = settings.auth?.authorization;
  const isNamed = Boolean(upstream || ours.url || ours.store_id);
  if ((ours.type ?? (isNamed ? 'openfga' : 'builtin')) === 'builtin') {
    if (upstream) {
      const message = 'auth.authorization is not asked: every valid token may use every system';
      questions.warn(['goldcrest', 'authorization', 'type'], message);
    }
    return { type: 'builtin' };
  }
  const url = ours.url ?? upstream?.url;
  const ask = (key: string, message: string, value: string) =>
    questions.ask(
      { key: `goldcrest.authorization.${key}`, message, example: { goldcrest: { authorization: { [key]: value } } } },
      '',
    );
  return {
    type: 'openfga',
    url: (url ?? ask('url', 'is required: the address of OpenFGA', 'http://127.0.0.1:8080')).replace(/\/+$/, ''),
    storeId: ours.store_id ?? ask('store_id', 'is required: the OpenFGA store', '01ARZ3NDEKTSV4RRFFQ69G5FAV'),
    modelId: ours.model_id ?? null,
    apiToken: ours.api_token ?? null,
    timeoutMs: ours.timeout ?? (upstream?.timeout ?? 1) * 1_000,
    cacheMs: ours.cache,
    connectionsMax: ours.connections_max ?? bounded(upstream?.max_connections ?? 100),
  };
}

/** The credentials of `goldcrest.ssh_credentials`, else those of the file. */
export function buildSshCredentials(settings: FileSettings, questions: Questions): SshCredentialsConfig {
  const given = settings.goldcrest.ssh_credentials ?? settings.ssh_credentials;
  if (given !== undefined) {
    const path = [...(settings.goldcrest.ssh_credentials ? ['goldcrest'] : []), 'ssh_credentials'];
    for (const { key, file } of privateKeysOf(given)) questions.requireFile([...path, ...key], file);
    if ('url' in given && given.url.startsWith('http:')) {
      questions.warn(
        ['ssh_credentials', 'url'],
        'access tokens and keys can be read on their way; for development only',
      );
    }
    return credentialsOf(given, questions);
  }
  const example = {
    goldcrest: { ssh_credentials: { type: 'UserCA', private_key: `secret_file:${userCaFile}` } },
  };
  const message = 'is required: SSHService, SSHCA or SSHStaticKeys as in FirecREST, or UserCA';
  return questions.ask({ key: 'ssh_credentials', message, example }, { type: 'static-keys', keys: {} });
}

/** Where private keys stand below `ssh_credentials`, and where each might be kept. */
function privateKeysOf(given: CredentialSettings): { key: string[]; file: string }[] {
  if (given.type === 'SSHStaticKeys') {
    const users = Object.keys(given.keys);
    return users.map((user) => ({ key: ['keys', user, 'private_key'], file: `/run/secrets/ssh_key_of_${user}` }));
  }
  const isHere = given.type === 'UserCA' && given.private_key !== undefined;
  return isHere ? [{ key: ['private_key'], file: userCaFile }] : [];
}

function credentialsOf(given: CredentialSettings, questions: Questions): SshCredentialsConfig {
  switch (given.type) {
    case 'SSHStaticKeys': {
      const keys = Object.entries(given.keys).map(([username, key]) => [
        username,
        {
          privateKey: key.private_key,
          passphrase: key.passphrase ?? null,
          certificate: key.public_cert?.reveal() ?? null,
        },
      ]);
      // without a prototype, so that a user called `constructor` finds no key
      return { type: 'static-keys', keys: Object.assign(Object.create(null), Object.fromEntries(keys)) };
    }
    case 'UserCA':
      return {
        type: 'user-ca',
        key: caKeyOf(given, questions),
        validitySeconds: given.validity_seconds,
        sourceAddress: given.source_address ?? null,
        jumpSourceAddress: given.jump_source_address ?? null,
      };
    default: {
      const type = given.type === 'SSHCA' ? 'ssh-ca' : 'ssh-service';
      return { type, url: given.url.replace(/\/+$/, ''), maxConnections: bounded(given.max_connections) };
    }
  }
}

/** One of the two ways to hold the key of the CA, and not both. */
function caKeyOf(given: Extract<CredentialSettings, { type: 'UserCA' }>, questions: Questions) {
  const { private_key: privateKey, passphrase, agent_socket: agentSocket, public_key: publicKey } = given;
  if (privateKey !== undefined && agentSocket === undefined) return { privateKey, passphrase: passphrase ?? null };
  if (privateKey === undefined && agentSocket !== undefined && publicKey !== undefined) {
    return { agentSocket, publicKey };
  }
  const message = 'UserCA needs either private_key, or agent_socket and public_key';
  questions.refuse(['ssh_credentials'], message);
  return { agentSocket: '', publicKey: '' };
}

/** The keys that seal tokens, asked for where tokens must be kept. */
export function buildTokens(settings: FileSettings, questions: Questions): TokensConfig {
  const keys = settings.goldcrest.tokens.sealing_keys;
  checkSealingKeys('tokens', keys, questions);
  const type = (settings.goldcrest.ssh_credentials ?? settings.ssh_credentials)?.type;
  if ((type === 'SSHService' || type === 'SSHCA') && keys.length === 0) {
    const message = `is required: ${type} gives credentials to the user's access token, which is kept sealed while its task is open (a key: openssl rand -base64 32)`;
    const example = {
      goldcrest: { tokens: { sealing_keys: [{ id: 'k1', key: 'secret_file:/run/secrets/goldcrest_token_key' }] } },
    };
    questions.ask({ key: 'goldcrest.tokens.sealing_keys', message, example }, null);
  }
  return { sealingKeys: keys };
}

function bounded(connections: number): number {
  return connections === 0 ? connectionsWhenUnlimited : connections;
}
