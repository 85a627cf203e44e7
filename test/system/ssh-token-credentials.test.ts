/** A broker whose SSH credentials come from a service that wants the user's token, from request to login and after. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CredentialServicePart, startCredentialService } from '../../lab/credential-service.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { silent } from '../integration/ssh-fixture.ts';
import { type Broker, createClient, locationOf, startBroker, taskEnd } from './broker-fixture.ts';

let lab: Lab;
let service: CredentialServicePart;
let broker: Broker;
let redis: Redis;
const key = randomBytes(32).toString('base64');

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'oidc'], handlesSignals: false });
  const caPrivateKeyPath = lab.sshd.userCa.privateKeyPath;
  service = await startCredentialService({ folder: lab.folder, caPrivateKeyPath, oidc: lab.oidc });
  redis = connectRedis(lab.redis.url, 'persist', silent);
  const account = lab.oidc.clients.service;
  broker = await startBroker(lab, {
    scheduler: 'process',
    cluster: {
      service_account: { client_id: account?.clientId, secret: account?.clientSecret },
      probing: { interval_check: 3_600, services: { ssh: { timeout: 5 } } },
    },
    goldcrest: {
      issuers: [{ issuer: lab.oidc.issuer, audiences: [lab.oidc.audience], minimum_life: '0s' }],
      ssh_credentials: { type: 'SSHCA', url: service.url },
      tokens: { sealing_keys: [{ id: 'lab', key }] },
    },
  });
}, 90_000);

afterAll(async () => {
  await broker?.stop();
  await redis?.quit();
  await service?.stop();
  await lab?.stop();
}, 60_000);

async function clientWith(expiresInSeconds: number) {
  const token = await requestToken(lab.oidc, 'alice', { expiresInSeconds });
  return { token, client: createClient(broker.url, token) };
}

const list = `/filesystem/lab/ops/ls?path=${encodeURIComponent('/home/gcalice')}`;
const stat = { operation: 'filesystem.stat', system: 'lab', input: { path: '/home/gcalice' } };
const logs = () => [broker.api, ...broker.workers].map(({ logFile }) => readFileSync(logFile, 'utf8')).join('');

/** Everything that Redis holds, as text. */
async function everythingKept(): Promise<string> {
  const kept: unknown[] = [];
  for (const name of await redis.keys('*')) {
    kept.push(name, await redis.dump(name));
    if ((await redis.type(name)) === 'hash') kept.push(await redis.hgetall(name));
  }
  return JSON.stringify(kept);
}

describe('a service that gives SSH credentials to a token', () => {
  it('is shown the token of the service account for probes', async () => {
    const { client } = await clientWith(600);
    await vi.waitFor(
      async () => {
        const { body } = await client.get('/status/systems');
        const [system] = body.systems as { servicesHealth: { serviceType: string; healthy: boolean }[] }[];
        expect(system?.servicesHealth).toMatchObject([{ serviceType: 'ssh', healthy: true }]);
      },
      { timeout: 30_000, interval: 200 },
    );
  });

  it('is shown the token of the request, and asked again by the retry policy where it is away', async () => {
    const { client, token } = await clientWith(600);
    // The one probe has been: the fault is for the task.
    service.faults.push((response) => response.writeHead(503).end());
    const answer = await client.get(list);
    expect(answer.status, answer.text).toBe(200);
    const shown = service.seen.filter(({ body }) => body.OTT === token);
    expect(shown.length).toBe(2);
  });

  it('finds the token of a waiting task sealed in Redis, and gone with the end of the task', async () => {
    const { client, token } = await clientWith(600);
    const notBefore = new Date(Date.now() + 3_600_000).toISOString();
    const location = locationOf(await client.post('/tasks', { ...stat, notBefore }));
    const record = `${broker.keyPrefix}:task:${location.split('/').at(-1)}`;
    expect(await redis.hget(record, 'token')).toMatch(/^lab\.[\w-]{100,}$/);
    const kept = await everythingKept();
    for (const part of [token, token.split('.')[1] ?? '', token.split('.')[2] ?? '']) expect(kept).not.toContain(part);
    expect((await client.get(location)).text).not.toContain('oken');
    expect((await client.delete(location)).status).toBeLessThan(300);
    expect(await redis.hexists(record, 'token')).toBe(0);
    expect(logs()).not.toContain(token.split('.')[2]);
  });

  it('is not asked once the token has ended: the task says so', async () => {
    const { client: early } = await clientWith(5);
    const notBefore = new Date(Date.now() + 5_500).toISOString();
    const location = locationOf(await early.post('/tasks', { ...stat, notBefore }));
    // A connection that is still up would serve without a token: as after a rest of the user.
    await broker.workers[0]?.stop();
    await broker.addWorker();
    const { client } = await clientWith(600);
    const end = await taskEnd(client, location);
    expect(end).toMatchObject({ state: 'failed', error: { code: 'TokenExpired', fault: 'caller' } });
    expect(end.error.message).toContain('there are no SSH credentials for lab');
  });
});
