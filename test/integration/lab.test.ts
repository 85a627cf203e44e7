/** The lab itself: a second lab beside the shared one, each part asked for what the broker will ask of it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { CredentialsMethod, OpenFgaClient } from '@openfga/sdk';
import { Redis } from 'ioredis';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { processesOfLab, reapDeadLabs } from '../../lab/lab-folder.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import type { SshdFacts } from '../../lab/parts/sshd.ts';
import { signUserKey } from '../../lab/user-certificate.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { waitUntil } from '../../lab/wait-until.ts';

const run = promisify(execFile);
const shared = inject('lab');
let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ handlesSignals: false, loadUsers: 2 });
}, 90_000);
afterAll(() => lab?.stop());

interface Login {
  sshd: SshdFacts;
  user: LabUser;
  /** Options of ssh(1) beside those that every login has. */
  options?: string[];
}

/** Runs one command line as a user by the system's own ssh client, host key checked against the lab's known_hosts. */
async function ssh({ sshd, user, options = [] }: Login, line: string): Promise<string> {
  const fixed = ['BatchMode=yes', 'IdentitiesOnly=yes', 'ConnectTimeout=10', 'LogLevel=ERROR'];
  const known = options.some((option) => option.startsWith('UserKnownHostsFile'))
    ? []
    : [knownHosts(sshd.knownHostsPath)];
  const flags = [...fixed, ...known, ...options].flatMap((option) => ['-o', option]);
  const args = [
    '-F',
    'none',
    '-i',
    user.privateKeyPath,
    '-p',
    String(sshd.port),
    ...flags,
    `${user.username}@${sshd.host}`,
  ];
  return (await run('ssh', [...args, line])).stdout.trim();
}

const knownHosts = (path: string) => `UserKnownHostsFile=${path}`;

describe('Redis', () => {
  it('is durable before it acknowledges, and never evicts', async () => {
    const redis = new Redis(lab.redis.url);
    const settings = await redis.config('GET', 'append*', 'maxmemory-policy', 'save');
    expect(settings).toEqual(
      expect.arrayContaining(['appendonly', 'yes', 'appendfsync', 'always', 'maxmemory-policy', 'noeviction']),
    );
    expect(await redis.ping()).toBe('PONG');
    redis.disconnect();
  });

  it('keeps what it acknowledged through SIGKILL, on the same port', async () => {
    const redis = new Redis(lab.redis.url);
    await redis.set('kept', 'yes');
    await lab.redis.kill();
    await lab.redis.start();
    expect(await redis.get('kept')).toBe('yes');
    redis.disconnect();
  });
});

describe('sshd', () => {
  const alice = () => userNamed(lab.users, 'alice');

  it('lets a user in by key, and shows where Slurm is', async () => {
    const line = 'id -un; echo $SLURM_CONF';
    expect(await ssh({ sshd: lab.sshd, user: alice() }, line)).toBe(`gcalice\n${lab.slurm.confPath}`);
    expect(await ssh({ sshd: shared.sshd, user: userNamed(shared.users, 'bob') }, 'id -un')).toBe('gcbob');
    expect(await ssh({ sshd: lab.sshd, user: userNamed(lab.users, 'load002') }, 'id -un')).toBe('gcload002');
  });

  it('lets a user in by a certificate of the user CA for the principal it names and nobody else', async () => {
    // A key that no authorized_keys of the other lab knows, so that only the certificate can open the door.
    const stranger = userNamed(shared.users, 'alice');
    const publicKeyPath = `${stranger.privateKeyPath}.pub`;
    await expect(ssh({ sshd: lab.sshd, user: stranger }, 'id -un')).rejects.toThrow('Permission denied');
    const certificate = await signUserKey(lab.sshd.userCa.privateKeyPath, { publicKeyPath, principals: ['gcalice'] });
    const options = [`CertificateFile=${certificate}`, knownHosts(lab.sshd.knownHostsCaPath)];
    expect(await ssh({ sshd: lab.sshd, user: stranger, options }, 'id -un')).toBe('gcalice');
    const other = { ...stranger, username: 'gcbob' };
    await expect(ssh({ sshd: lab.sshd, user: other, options }, 'id -un')).rejects.toThrow('Permission denied');
  });

  it('has impostors whose host key nobody vouches for', async () => {
    const impostor = await lab.sshd.startAnother({ name: 'impostor', hostKey: 'impostor' });
    const user = alice();
    expect(await ssh({ sshd: impostor, user }, 'id -un')).toBe('gcalice');
    const options = [knownHosts(impostor.knownHostsCaPath), 'StrictHostKeyChecking=yes'];
    await expect(ssh({ sshd: impostor, user, options }, 'id -un')).rejects.toThrow('Host key verification failed');
  });
});

describe('Slurm', () => {
  it('runs the job of a user with an account and accounts for it', async () => {
    for (const facts of [lab, shared]) {
      const login = { sshd: facts.sshd, user: userNamed(facts.users, 'alice') };
      const id = await ssh(login, 'cd /tmp && sbatch --parsable --output=/dev/null --wrap "true"');
      const states = `sacct --noheader --parsable2 --allocations --format=state,account --jobs=${id}`;
      await waitUntil(
        `job ${id} to be accounted as completed`,
        async () => (await ssh(login, states)) === 'COMPLETED|proj01',
        {
          timeoutMs: 20_000,
          intervalMs: 200,
        },
      );
    }
  });

  it('refuses the job of a user without an association', async () => {
    const login = { sshd: lab.sshd, user: userNamed(lab.users, 'carol') };
    await expect(ssh(login, 'sbatch --wrap true')).rejects.toThrow('Invalid account');
  });

  it('comes back from a stop of its controller', async () => {
    await lab.slurm.stopController();
    await lab.slurm.startController();
    expect(await lab.slurm.admin('scontrol', ['ping'])).toContain('is UP');
  });
});

describe('S3', () => {
  const client = (secretAccessKey: string) =>
    new S3Client({
      endpoint: lab.s3.endpoint,
      region: lab.s3.region,
      forcePathStyle: true,
      credentials: { accessKeyId: lab.s3.accessKeyId, secretAccessKey },
      maxAttempts: 1,
    });

  it('gives back what was put, and checks signatures', async () => {
    const s3 = client(lab.s3.secretAccessKey);
    await s3.send(new CreateBucketCommand({ Bucket: 'lab' }));
    await s3.send(new PutObjectCommand({ Bucket: 'lab', Key: 'a/b', Body: 'bytes' }));
    const object = await s3.send(new GetObjectCommand({ Bucket: 'lab', Key: 'a/b' }));
    expect(await object.Body?.transformToString()).toBe('bytes');
    const forged = client('wrong').send(new GetObjectCommand({ Bucket: 'lab', Key: 'a/b' }));
    await expect(forged).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' });
    s3.destroy();
  });
});

describe('OpenFGA', () => {
  it('answers checks by its model, and asks for its key', async () => {
    const credentials = { method: CredentialsMethod.ApiToken as const, config: { token: lab.openfga.apiToken } };
    const { id: storeId } = await new OpenFgaClient({ apiUrl: lab.openfga.apiUrl, credentials }).createStore({
      name: 'lab',
    });
    const api = new OpenFgaClient({ apiUrl: lab.openfga.apiUrl, storeId, credentials });
    const reader = {
      relations: { reader: { this: {} } },
      metadata: { relations: { reader: { directly_related_user_types: [{ type: 'user' }] } } },
    };
    const types = [{ type: 'user' }, { type: 'system', ...reader }];
    await api.writeAuthorizationModel({ schema_version: '1.1', type_definitions: types });
    await api.write({ writes: [{ user: 'user:gcalice', relation: 'reader', object: 'system:lab' }] });
    const mayRead = async (user: string) =>
      (await api.check({ user: `user:${user}`, relation: 'reader', object: 'system:lab' })).allowed;
    expect([await mayRead('gcalice'), await mayRead('gcbob')]).toEqual([true, false]);
    const stranger = await fetch(`${lab.openfga.apiUrl}/stores`);
    expect(stranger.status).toBe(401);
  });
});

describe('OIDC', () => {
  const verify = (token: string, keys: ReturnType<typeof createRemoteJWKSet>) =>
    jwtVerify(token, keys, { issuer: lab.oidc.issuer, audience: lab.oidc.audience });
  const currentKeys = () => createRemoteJWKSet(new URL(lab.oidc.jwksUri));

  it('issues tokens that carry the name on the cluster, signed by either algorithm', async () => {
    for (const algorithm of ['RS256', 'ES256'] as const) {
      const { payload, protectedHeader } = await verify(await lab.oidc.token('alice', { algorithm }), currentKeys());
      expect(payload).toMatchObject({ preferred_username: 'gcalice', scope: 'goldcrest' });
      expect(protectedHeader.alg).toBe(algorithm);
    }
  });

  it('issues tokens for another audience, another scope and a short life on request', async () => {
    const options = { audience: 'elsewhere', scope: 'unrelated', expiresInSeconds: 2 };
    const token = await requestToken(lab.oidc, 'bob', options);
    const { payload } = await jwtVerify(token, currentKeys(), { audience: 'elsewhere' });
    expect(payload).toMatchObject({ preferred_username: 'gcbob', scope: 'unrelated' });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(2);
  });

  it('takes the client secret in the body as well', async () => {
    const { clientId, clientSecret } = lab.oidc.clients.service ?? { clientId: '', clientSecret: '' };
    const grant = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
    const response = await fetch(lab.oidc.tokenEndpoint, { method: 'POST', body: new URLSearchParams(grant) });
    expect(response.status).toBe(200);
  });

  it('rotates its keys while it runs: old tokens hold until the old keys are dropped', async () => {
    const before = await lab.oidc.token('alice');
    await lab.oidc.rotateKeys();
    const after = await lab.oidc.token('alice');
    const keys = currentKeys();
    expect((await verify(before, keys)).protectedHeader.kid).not.toBe((await verify(after, keys)).protectedHeader.kid);
    await lab.oidc.rotateKeys({ keepsOldKeys: false });
    await expect(verify(before, currentKeys())).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  });
});

describe('a lab that was stopped', () => {
  it('leaves no process and no folder behind, jobs and sessions included, and its neighbour alone', async () => {
    const alice = userNamed(lab.users, 'alice');
    await ssh({ sshd: lab.sshd, user: alice }, 'cd /tmp && sbatch --parsable --output=/dev/null --wrap "sleep 600"');
    await waitUntil(
      'the job to run',
      async () => (await lab.slurm.admin('squeue', ['--noheader', '--states=running'])) !== '',
      {
        timeoutMs: 20_000,
      },
    );
    const session = ssh({ sshd: lab.sshd, user: alice }, 'sleep 600');
    expect(processesOfLab(lab.folder).length).toBeGreaterThan(10);
    await Promise.all([lab.stop(), expect(session).rejects.toThrow()]);
    expect(processesOfLab(lab.folder)).toEqual([]);
    expect(existsSync(lab.folder)).toBe(false);
    expect((await fetch(shared.oidc.jwksUri)).status).toBe(200);
    expect(await ssh({ sshd: shared.sshd, user: userNamed(shared.users, 'alice') }, 'squeue --noheader')).toBe('');
  });
});

describe('a lab whose owner was killed', () => {
  it('is cleaned up by the next start of any lab', async () => {
    const owner = spawn(process.execPath, ['--import', 'tsx', 'lab/main.ts', '--parts', 'redis,sshd,oidc'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const folder = await factPrinted(owner.stdout, /^folder +(\S+)$[\s\S]*stops it/m);
    const killed = once(owner, 'exit');
    owner.kill('SIGKILL');
    await killed;
    reapDeadLabs();
    expect(processesOfLab(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });
});

/** The first group of the pattern, as soon as the text that the stream brings has it. */
async function factPrinted(stream: Readable, pattern: RegExp): Promise<string> {
  let text = '';
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    const found = pattern.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`The stream ended without ${pattern}: ${text}`);
}
