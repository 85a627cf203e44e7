/** The two services that give SSH credentials for an access token, as FirecREST v2 asks them, against a real sshd. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CredentialServicePart, startCredentialService } from '../../lab/credential-service.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { signUserKey } from '../../lab/user-certificate.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { nextAttemptDelayMs } from '../../workers/runtime/retry-policy.ts';
import type { CredentialProvider } from '../../workers/ssh/credentials/credential-provider.ts';
import { createSshCa } from '../../workers/ssh/credentials/ssh-ca.ts';
import { createSshService } from '../../workers/ssh/credentials/ssh-service.ts';
import { createUserTokens, type UserTokens } from '../../workers/ssh/credentials/user-tokens.ts';
import { sshTo, systemOptions } from './ssh-fixture.ts';

let lab: Lab;
let service: CredentialServicePart;
let tokens: UserTokens;
let token: string;
/** A key and certificate that belong together, of nobody who asks. */
let stranger: { privateKey: string; certificate: string };

const timeoutMs = 1_000;

beforeAll(async () => {
  lab = await startLab({ parts: ['sshd', 'oidc'], handlesSignals: false });
  const caPrivateKeyPath = lab.sshd.userCa.privateKeyPath;
  service = await startCredentialService({ folder: lab.folder, caPrivateKeyPath, oidc: lab.oidc });
  const path = join(lab.folder, 'stranger');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  const signed = await signUserKey(caPrivateKeyPath, { publicKeyPath: `${path}.pub`, principals: ['gcalice'] });
  stranger = { privateKey: readFileSync(path, 'utf8'), certificate: readFileSync(signed, 'utf8') };
}, 60_000);

afterAll(async () => {
  await service?.stop();
  await lab?.stop();
});

beforeEach(async () => {
  token = await requestToken(lab.oidc, 'alice');
  tokens = createUserTokens(async () => null);
  tokens.hold('gcalice', token);
  service.wish = {};
  service.seen.length = 0;
  service.faults.length = 0;
});

async function whoAmI(credentials: CredentialProvider): Promise<string> {
  const ssh = sshTo(systemOptions(lab.sshd), credentials);
  try {
    return (await ssh.shell('lab', 'gcalice').run(['id', '-un'])).stdout.toString().trim();
  } finally {
    await ssh.close();
  }
}

const providers = {
  'the SSH CA': { create: createSshCa, path: '/sign', status: 200 },
  'the SSH key service': { create: createSshService, path: '/api/v1/ssh-keys', status: 201 },
} as const;

const names = Object.keys(providers) as (keyof typeof providers)[];

describe.each(names)('%s', (name) => {
  const { create, path, status } = providers[name];
  const provider = (connectionsMax = 10) => create({ url: service.url, connectionsMax, tokens, timeoutMs });
  const failure = async (): Promise<BrokerError> => {
    const error: unknown = await provider()
      .credentialFor('lab', 'gcalice')
      .catch((thrown: unknown) => thrown);
    if (!(error instanceof BrokerError)) throw new Error('it gave credentials');
    expect(JSON.stringify([error.message, error.detail, String(error.cause)])).not.toContain(token);
    return error;
  };
  const isRetried = (error: BrokerError) =>
    nextAttemptDelayMs(
      { error, attempt: 1, attemptsMax: 3, recover: 'rerun', now: 0, deadlineAt: 3_600_000 },
      () => 0,
    ) !== null;

  it('is shown the user’s token, and what it gives logs the user in until the certificate ends', async () => {
    expect(await whoAmI(provider())).toBe('gcalice');
    const [request] = service.seen;
    expect(request?.path).toBe(path);
    if (name === 'the SSH CA') {
      expect(request?.body).toEqual({ PublicKey: expect.stringMatching(/^ssh-ed25519 AAAA\S+$/), OTT: token });
    } else {
      expect(request?.body).toEqual({ duration: '1min', username: 'gcalice' });
      expect(request?.headers).toMatchObject({ authorization: `Bearer ${token}`, 'x-client-type': 'api' });
    }
    const { expiresAt = 0 } = await provider().credentialFor('lab', 'gcalice');
    expect(expiresAt - Date.now()).toBeGreaterThan(200_000);
    expect(expiresAt - Date.now()).toBeLessThan(360_000);
  });

  it('is not asked for a user without a token, nor with one that has ended', async () => {
    const asked = create({ url: service.url, connectionsMax: 1, tokens: createUserTokens(async () => null) });
    await expect(asked.credentialFor('lab', 'gcbob')).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
    const ending = createUserTokens(async () => null);
    ending.hold('gcalice', await requestToken(lab.oidc, 'alice', { expiresInSeconds: 1 }));
    const late = create({ url: service.url, connectionsMax: 1, tokens: ending });
    await expect(late.credentialFor('lab', 'gcalice')).rejects.toMatchObject({
      code: 'TokenExpired',
      message: expect.stringMatching(/^The access token of the request ended at .+Z, before its work did; /),
    });
    expect(service.seen).toEqual([]);
  });

  it('gives nobody another user’s credentials: the host refuses the wrong principal', async () => {
    service.wish = { principal: 'gcbob' };
    await expect(whoAmI(provider())).rejects.toMatchObject({
      code: 'SshCredentialsRefused',
      message: '127.0.0.1 refused the login of user gcalice.',
    });
  });

  it('whose certificate has expired, or is not valid yet, is told from a host that refuses', async () => {
    service.wish = { validity: '-10m:-5m' };
    expect(await failure()).toMatchObject({ code: 'SshCredentialsRefused', message: expect.stringMatching(/expired/) });
    service.wish = { validity: '+10m:+20m' };
    expect((await failure()).message).toMatch(/not valid yet/);
  });

  it('that does not answer, breaks off or is overloaded is asked again by the retry policy', async () => {
    const passing: ((response: ServerResponse) => void)[] = [
      () => undefined, // never
      (response) => response.writeHead(503, { 'retry-after': '7' }).end(),
      (response) => response.writeHead(status, { 'content-length': '1000' }).write('half', () => response.destroy()),
      (response) => response.destroy(),
      (response) => response.writeHead(307, { location: `${service.url}/elsewhere` }).end(),
    ];
    for (const fault of passing) {
      service.faults.push(fault);
      const before = performance.now();
      const error = await failure();
      expect(error.code).toBe('SshUnavailable');
      expect(isRetried(error)).toBe(true);
      expect(performance.now() - before).toBeLessThan(timeoutMs + 4_000);
    }
    expect(service.seen.map((request) => request.path)).toEqual(passing.map(() => path));
    service.faults.push((response) => response.writeHead(503, { 'retry-after': '7' }).end());
    expect((await failure()).retryAfterSeconds).toBe(7);
  });

  it('that refuses, or whose answer cannot be used, is not asked again for the same task', async () => {
    const sshKey = (parts: Record<string, unknown>) => JSON.stringify({ sshKey: parts });
    const { privateKey, certificate } = stranger;
    const plain = certificate.replaceAll('-cert-v01@openssh.com', '');
    const answers =
      name === 'the SSH CA'
        ? ['', 'no certificate', plain, certificate, 'x'.repeat(1_000_000)]
        : [
            '',
            '[]',
            sshKey({ privateKey }),
            sshKey({ privateKey: 'none', publicKey: certificate }),
            sshKey({ privateKey, publicKey: plain }),
            sshKey({ privateKey: readFileSync(lab.sshd.userCa.privateKeyPath, 'utf8'), publicKey: certificate }),
            sshKey({ privateKey, publicKey: 'x'.repeat(1_000_000) }),
          ];
    for (const text of answers) {
      service.faults.push((response) => response.writeHead(status).end(text));
      const error = await failure();
      expect(error.code, text.slice(0, 80)).toBe('SshCredentialsRefused');
      expect(error.message).not.toContain('PRIVATE KEY');
      expect(isRetried(error)).toBe(false);
    }
    service.faults.push((response) => response.writeHead(403).end('secret words'));
    expect((await failure()).message).toMatch(/ refused to give credentials \(status 403\)\.$/);
  });

  it('is asked by so many at once as the configuration says', async () => {
    let open = 0;
    let most = 0;
    const slow = (response: ServerResponse): void => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open -= 1;
        response.writeHead(503).end();
      }, 50);
    };
    service.faults.push(...Array.from({ length: 6 }, () => slow));
    const two = provider(2);
    await Promise.allSettled(Array.from({ length: 6 }, () => two.credentialFor('lab', 'gcalice')));
    expect([service.seen.length, most]).toEqual([6, 2]);
  });
});

describe('tokens at hand', () => {
  it('are forgotten with their task, and of several the one that lives longest is shown', async () => {
    const own = createUserTokens(async (_system, username) => (username === 'gcservice' ? 'of the account' : null));
    const short = await requestToken(lab.oidc, 'alice', { expiresInSeconds: 60 });
    const letGo = own.hold('gcalice', short);
    const letGoLonger = own.hold('gcalice', token);
    expect(await own.tokenFor('lab', 'gcalice')).toBe(token);
    letGoLonger();
    expect(await own.tokenFor('lab', 'gcalice')).toBe(short);
    letGo();
    await expect(own.tokenFor('lab', 'gcalice')).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
    expect(await own.tokenFor('lab', 'gcservice')).toBe('of the account');
  });
});
