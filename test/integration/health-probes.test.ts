/** What one probe says of a real host, a real token issuer and a real store, and of those that fail it. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import type { ServiceAccountConfig, SystemConfig } from '../../shared/platform/config/config.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { createProbe } from '../../workers/health/probe.ts';
import { createFindUsername, type FindUsername } from '../../workers/health/service-account.ts';
import { probeStorage } from '../../workers/health/storage-probe.ts';
import type { Target } from '../../workers/health/targets.ts';
import type { CredentialProvider } from '../../workers/ssh/credentials/credential-provider.ts';
import { createStaticKeys } from '../../workers/ssh/credentials/static-keys.ts';
import { createSsh, type Ssh } from '../../workers/ssh/ssh.ts';
import { loadText, small } from '../unit/config-support.ts';
import { labUserCa, silent, systemOptions } from './ssh-fixture.ts';
import { stagingConfig } from './staging-config.ts';

const lab = inject('lab');
const service = userNamed(lab.users, 'service');
const open: Ssh[] = [];
let folder: string;
let silentHost: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gc-probes-'));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'closed', 'root'), { recursive: true });
  chmodSync(join(folder, 'closed'), 0o700);
  silentHost = createServer();
  await new Promise<void>((resolve) => silentHost.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  await Promise.all(open.map((ssh) => ssh.close(0)));
  silentHost?.close();
  rmSync(folder, { recursive: true, force: true });
});

const services = 'probing: {services: {ssh: {}, scheduler: {}, filesystem: {}}}';

/** A system of the configuration's own making, called `lab`, with no batch system. */
function systemWith(probing: string = services): SystemConfig {
  const text = small.replace('probing: {}', probing).replace('type: slurm', 'type: process');
  const [system] = loadText(text.replace('name: one', 'name: lab')).config.systems;
  if (!system) throw new Error('no system');
  return system;
}

interface Ground {
  system?: SystemConfig;
  credentials?: CredentialProvider;
  findUsername?: FindUsername;
  port?: number;
  hostKey?: string;
}

function probeOn(ground: Ground = {}) {
  const { credentials = labUserCa(lab), port = lab.sshd.port, hostKey = lab.sshd.hostKey } = ground;
  const ssh = createSsh({
    systems: [systemOptions({ ...lab.sshd, port, hostKey })],
    credentials: () => credentials,
    // As full as can be: a probe that waited in line would never come back.
    handshakes: { acquire: () => new Promise(() => undefined) },
    log: silent,
  });
  open.push(ssh);
  const findUsername = ground.findUsername ?? (async () => service.username);
  return { ssh, probe: createProbe({ system: ground.system ?? systemWith(), ssh, findUsername, log: silent }) };
}

const target = (name: 'ssh' | 'scheduler' | 'filesystem', path: string | null = null, timeoutMs = 10_000): Target => ({
  ...{ service: name, path, timeoutMs },
});

describe('a probe of a host that is well', () => {
  it('says so of every service, in no line with users’ logins and on no connection of theirs', async () => {
    const { ssh, probe } = probeOn();
    for (const each of [target('ssh'), target('scheduler'), target('filesystem', '/tmp')]) {
      expect(await probe(each), each.service).toEqual({ outcome: 'up', message: null });
    }
    expect(ssh.poolStats()).toMatchObject([{ connectionsOpened: 0, connectionsOpen: 0, users: 0 }]);
  });
});

describe('a file system', () => {
  it('that is not there is down with the words of the host', async () => {
    const { probe } = probeOn();
    const verdict = await probe(target('filesystem', join(folder, 'gone')));
    expect(verdict).toMatchObject({ outcome: 'down', message: expect.stringContaining('No such file or directory') });
  });

  it('that the account may not look at is not called down', async () => {
    const { probe } = probeOn();
    const verdict = await probe(target('filesystem', join(folder, 'closed', 'root')));
    expect(verdict).toEqual({ outcome: 'up', message: `The service account ${service.username} may not look at it.` });
  });
});

describe('a login node', () => {
  const address = () => (silentHost.address() as AddressInfo).port;

  it('that accepts connections and says nothing is down within the time of the probe', async () => {
    const { probe } = probeOn({ port: address() });
    expect(await probe(target('ssh', null, 500))).toMatchObject({ outcome: 'down', isStuck: false });
  });

  it('that shows another key is down with the reason', async () => {
    const { probe } = probeOn({ hostKey: lab.sshd.hostCaKey });
    const verdict = await probe(target('ssh'));
    expect(verdict).toMatchObject({ outcome: 'down', message: expect.stringMatching(/is not the expected one/) });
  });

  it('that is down is not held against its scheduler, unless nobody probes the login', async () => {
    const { probe } = probeOn({ port: address() });
    expect(await probe(target('scheduler', null, 500))).toMatchObject({ outcome: 'unknown', because: 'login' });
    const alone = probeOn({ port: address(), system: systemWith('probing: {services: {scheduler: {}}}') });
    expect(await alone.probe(target('scheduler', null, 500))).toMatchObject({ outcome: 'down' });
  });
});

describe('an account that cannot log in speaks against no service', () => {
  const isUnknown = { outcome: 'unknown', because: 'account' };

  it.each<[string, Ground, RegExp]>([
    ['the host refuses it', { findUsername: async () => 'nosuchuser' }, /refused the login of user nosuchuser/],
    ['it has no key', { credentials: createStaticKeys({}) }, /No SSH key is configured for user gcsvc/],
    ['there is none', { findUsername: createFindUsername(null, undefined) }, /has no service account/],
  ])('%s', async (_title, ground, message) => {
    const { probe } = probeOn(ground);
    for (const each of [target('ssh'), target('scheduler'), target('filesystem', '/tmp')]) {
      expect(await probe(each)).toMatchObject({ ...isUnknown, message: expect.stringMatching(message) });
    }
  });
});

describe('an account that is refused', () => {
  it('is tried once for all services, and not again soon, so that nobody locks the broker out', async () => {
    let attempts = 0;
    const ca = labUserCa(lab);
    const credentials: CredentialProvider = {
      credentialFor(system, username) {
        attempts += 1;
        return ca.credentialFor(system, username);
      },
    };
    const { probe } = probeOn({ credentials, findUsername: async () => 'nosuchuser' });
    const targets = [target('ssh'), target('scheduler'), target('filesystem', '/tmp'), target('ssh')];
    const verdicts = await Promise.all(targets.map(probe));
    for (const verdict of [...verdicts, await probe(target('ssh'))]) {
      expect(verdict).toMatchObject({ outcome: 'unknown', because: 'account' });
    }
    expect(attempts).toBe(1);
  });
});

describe('the name of the service account', () => {
  const client = lab.oidc?.clients.service;
  const account: ServiceAccountConfig = {
    clientId: client?.clientId ?? '',
    secret: new Secret(client?.clientSecret ?? ''),
    username: null,
  };
  const issuer = {
    tokenUrl: lab.oidc?.tokenEndpoint ?? '',
    tokenEndpointAuthMethod: 'client_secret_basic' as const,
    usernameClaim: 'preferred_username',
    usernames: {},
    usernamePattern: null,
  };

  it('is that of its token, or the configured one without asking anybody', async () => {
    expect(await createFindUsername(account, issuer)()).toBe(service.username);
    const mapped = { ...issuer, usernames: { [service.username]: 'probe1' } };
    expect(await createFindUsername(account, mapped)()).toBe('probe1');
    expect(await createFindUsername({ ...account, username: 'probe' }, undefined)()).toBe('probe');
  });

  it('is kept once it is known, and asked for again while it is not', async () => {
    const moving = { ...issuer, tokenUrl: 'http://127.0.0.1:9/token' };
    const find = createFindUsername(account, moving);
    await expect(find()).rejects.toThrow('The token issuer does not answer.');
    moving.tokenUrl = issuer.tokenUrl;
    expect(await find()).toBe(service.username);
    moving.tokenUrl = 'http://127.0.0.1:9/token';
    expect(await find()).toBe(service.username);
  });

  it.each<[string, Partial<ServiceAccountConfig>, Partial<typeof issuer>, RegExp]>([
    ['a wrong secret', { secret: new Secret('wrong') }, {}, /gave the service account no token \(status 401\)/],
    ['no token endpoint', {}, { tokenUrl: '' }, /No token endpoint is configured/],
    ['a claim that is not there', {}, { usernameClaim: 'nickname' }, /has no claim nickname/],
  ])('is not found with %s, and the secret is in no message', async (_title, wrong, elsewhere, message) => {
    const find = createFindUsername({ ...account, ...wrong }, { ...issuer, ...elsewhere });
    const error = await find().then(String, (thrown: Error) => thrown.message);
    expect(error).toMatch(message);
    expect(error).not.toContain(client?.clientSecret ?? 'wrong');
  });
});

describe('a staging store', () => {
  const storage = stagingConfig(lab.s3);

  it('that answers to its keys is well', async () => {
    expect(await probeStorage(storage, 10_000)).toEqual({ outcome: 'up', message: null });
  });

  it('that does not know the keys is down, and so is one that says nothing', async () => {
    const unknown = await probeStorage({ ...storage, accessKeyId: new Secret('NOBODY') }, 10_000);
    expect(unknown).toMatchObject({ outcome: 'down', message: expect.stringMatching(/InvalidAccessKeyId.*403/) });
    const silentUrl = new Secret(`http://127.0.0.1:${(silentHost.address() as AddressInfo).port}`);
    const mute = await probeStorage({ ...storage, privateUrl: silentUrl }, 300);
    expect(mute).toMatchObject({ outcome: 'down', message: 'The staging store did not answer within 0.3 s.' });
  });
});
