/** Services of a system that go away and come back: what stands on them is refused at once, the rest is served, and nobody restarts anything. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import type { SshdServer } from '../../lab/parts/sshd.ts';
import { userNamed } from '../../lab/users.ts';
import { createHungFileSystem, type HungFileSystem } from '../integration/hung-file-system.ts';
import { type Answer, type Broker, type Client, clientOf, pathQuery, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { scrape, scraped } from '../system/scrape.ts';

/** Longest wait for a change to be noticed: probes every second or two, on a machine that others load as well. */
const noticed = { timeout: 60_000, interval: 100 };

interface ServiceView {
  serviceType: string;
  path?: string;
  healthy: boolean;
  latency: number | null;
  lastChecked: string | null;
  message: string | null;
}
interface SystemView {
  name: string;
  servicesHealth: ServiceView[] | null;
  lastHealthCheck: string | null;
}

let lab: Lab;
let other: SshdServer;
let broker: Broker;
let client: Client;
let own: OwnDirectory;
let hung: HungFileSystem;
let redis: Redis;
let file: string;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'slurm', 's3', 'oidc'], handlesSignals: false });
  other = await lab.sshd.startAnother({ name: 'other', hostKey: 'own' });
  const impostor = await lab.sshd.startAnother({ name: 'impostor', hostKey: 'impostor' });
  hung = createHungFileSystem();
  const { clientId, clientSecret } = lab.oidc.clients.service ?? { clientId: '', clientSecret: '' };
  const timeout = { timeout: 3 };
  const services = { ssh: timeout, scheduler: { timeout: 20 }, filesystem: timeout, s3: timeout };
  broker = await startBroker(lab, {
    workers: 2,
    cluster: {
      service_account: { client_id: clientId, secret: clientSecret },
      probing: { interval_check: 1, services },
      file_systems: [
        { path: '/home', data_type: 'users' },
        { path: '/tmp', data_type: 'scratch' },
        { path: hung.path, data_type: 'store' },
      ],
      data_operation: {
        data_transfer: {
          service_type: 's3',
          name: 'staging',
          private_url: lab.s3.endpoint,
          public_url: lab.s3.endpoint,
          access_key_id: lab.s3.accessKeyId,
          secret_access_key: lab.s3.secretAccessKey,
          region: lab.s3.region,
          ttl: 60,
        },
      },
    },
    otherSystems: [
      { name: 'other', sshd: other },
      { name: 'impostor', sshd: { ...impostor, hostKey: lab.sshd.hostKey } },
      {
        name: 'nobody',
        sshd: lab.sshd,
        cluster: { service_account: { client_id: 'service', secret: 'wrong-and-long-enough-to-be-looked-for' } },
      },
    ],
    goldcrest: { ...scraped, health: { recheck: '300ms', recovery_interval: '1s' } },
    // What was let through before the API knew hangs for no longer than this.
    ssh: { timeout: { command_execution: 5 } },
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  redis = new Redis(lab.redis.url);
  own = homeDirectory(userNamed(lab.users, 'alice'));
  file = join(own.path, 'file');
  writeFileSync(file, 'hello');
  own.giveAway();
}, 120_000);

afterAll(async () => {
  hung?.remove();
  own?.remove();
  redis?.disconnect();
  await broker?.stop();
  await lab?.stop();
}, 60_000);

const stat = (system: string, path = file) => client.get(`/filesystem/${system}/ops/stat?${pathQuery(path)}`);
const jobs = (system: string) => client.get(`/compute/${system}/jobs`);

async function systemNamed(name: string): Promise<SystemView> {
  const { body, status, text } = await client.get('/status/systems');
  expect(status, text).toBe(200);
  const found = (body.systems as SystemView[]).find((system) => system.name === name);
  if (!found) throw new Error(`no system ${name}`);
  return found;
}

async function serviceOf(system: string, serviceType: string, path?: string): Promise<ServiceView> {
  const { servicesHealth } = await systemNamed(system);
  const found = servicesHealth?.find((entry) => entry.serviceType === serviceType && entry.path === path);
  if (!found) throw new Error(`${serviceType} of ${system} is not known`);
  return found;
}

function expectRefused(answer: Answer, message: RegExp): void {
  expect(answer.status, answer.text).toBe(503);
  expect(answer.body).toMatchObject({
    code: 'ServiceUnhealthy',
    retryable: true,
    fault: 'cluster',
    errorType: 'error',
  });
  expect(answer.body.message).toMatch(message);
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
}

const refused = (ask: () => Promise<Answer>, message: RegExp) =>
  vi.waitFor(async () => expectRefused(await ask(), message), noticed);
const served = (ask: () => Promise<Answer>) =>
  vi.waitFor(async () => {
    const answer = await ask();
    expect(answer.status, answer.text).toBe(200);
  }, noticed);

/** Asked first where a request that is not refused yet would hang with its service. */
const broken = (system: string, type: string, path?: string) =>
  vi.waitFor(async () => expect(await serviceOf(system, type, path)).toMatchObject({ healthy: false }), noticed);

const allWell = (system: string) =>
  vi.waitFor(async () => {
    const { servicesHealth } = await systemNamed(system);
    expect(servicesHealth?.map(({ serviceType, healthy, message }) => ({ serviceType, healthy, message }))).toEqual(
      ['ssh', 'scheduler', 'filesystem', 'filesystem', 'filesystem', 's3'].map((serviceType) => ({
        serviceType,
        healthy: true,
        message: null,
      })),
    );
  }, noticed);

describe('systems that are well', () => {
  it('are shown with every probed service, each file system by its path, in FirecREST’s members', async () => {
    await allWell('lab');
    await allWell('other');
    const { servicesHealth, lastHealthCheck } = await systemNamed('lab');
    expect(servicesHealth?.map(({ path }) => path)).toEqual([
      undefined,
      undefined,
      '/home',
      '/tmp',
      hung.path,
      undefined,
    ]);
    for (const { lastChecked, latency, ...rest } of servicesHealth ?? []) {
      expect(lastChecked).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      expect(latency).toBeGreaterThan(0);
      const members = rest.path === undefined ? {} : { path: rest.path };
      expect(rest).toEqual({ serviceType: rest.serviceType, healthy: true, message: null, ...members });
    }
    expect(Date.parse(lastHealthCheck ?? '')).toBeGreaterThan(0);
  });

  it('are probed by one worker only', async () => {
    const leases = await redis.keys(`${broker.keyPrefix}:health:lease:*`);
    expect(leases.length).toBe(4);
    expect(new Set(await redis.mget(leases)).size).toBe(1);
  });
});

describe('a login node that is gone', () => {
  it('refuses what needs it, says so with the reason, harms no other system, and is back within seconds', async () => {
    await lab.sshd.stop();
    await refused(
      () => stat('lab'),
      /^The ssh service for the requested system \(lab\) is unhealthy\. It has been since .*ECONNREFUSED/,
    );
    expectRefused(await jobs('lab'), /^The ssh service/);
    expectRefused(await client.get('/status/lab/userinfo'), /^The ssh service/);
    const task = { operation: 'filesystem.stat', system: 'lab', input: { path: file } };
    expectRefused(await client.post('/tasks', task), /^The ssh service/);
    expect(await serviceOf('lab', 'ssh')).toMatchObject({
      healthy: false,
      message: expect.stringContaining('ECONNREFUSED'),
    });
    // The scheduler cannot be asked meanwhile, which is not its fault.
    expect(await serviceOf('lab', 'scheduler')).toMatchObject({ healthy: true });
    expect((await stat('other')).status).toBe(200);
    await lab.sshd.start();
    await served(() => stat('lab'));
    await served(() => jobs('lab'));
    await allWell('lab');
  });
});

describe('a host that poses as the login node', () => {
  it('is unhealthy with the reason, and nothing is sent to it', async () => {
    await refused(() => stat('impostor'), /^The ssh service .*\(impostor\) is unhealthy\..* is not the expected one/);
    expect(await serviceOf('impostor', 'ssh')).toMatchObject({ healthy: false });
    const { value } = await scrape(broker.api);
    expect(value('goldcrest_service_up', { system: 'impostor', service: 'ssh' })).toBe(0);
    expect(value('goldcrest_service_up', { system: 'lab', service: 'ssh' })).toBe(1);
  });
});

describe('a scheduler that is gone', () => {
  it('refuses jobs and serves files, until it is back', async () => {
    await lab.slurm.stopController();
    await broken('lab', 'scheduler');
    await refused(() => jobs('lab'), /^The scheduler service for the requested system \(lab\) is unhealthy\./);
    expectRefused(await client.get('/status/lab/partitions'), /^The scheduler service/);
    expect((await stat('lab')).status).toBe(200);
    expect((await client.get('/status/lab/userinfo')).status).toBe(200);
    await lab.slurm.startController();
    await served(() => jobs('lab'));
  });
});

describe('a staging store that is gone', () => {
  it('is unhealthy without naming its private address, and refuses neither files nor jobs', async () => {
    await lab.s3.stop();
    await broken('lab', 's3');
    const { message } = await serviceOf('lab', 's3');
    expect(message).toMatch(/cannot be reached \(ECONNREFUSED\)/);
    expect(message).not.toContain(new URL(lab.s3.endpoint).port);
    expect((await stat('lab')).status).toBe(200);
    expect((await jobs('lab')).status).toBe(200);
    await lab.s3.start();
    await vi.waitFor(async () => expect(await serviceOf('lab', 's3')).toMatchObject({ healthy: true }), noticed);
  });
});

describe('a file system that hangs', () => {
  it('refuses the paths in it at once and no others, and is back within seconds', async () => {
    hung.hang();
    try {
      const inside = join(hung.path, 'x');
      await broken('lab', 'filesystem', hung.path);
      await refused(
        () => stat('lab', inside),
        /^The requested filesystem \(\/tmp\/gc-hung-\w+ on lab\) is unhealthy\..* did not answer within 3 s/,
      );
      expectRefused(await client.get(`/filesystem/lab/ops/ls?${pathQuery(hung.path)}`), /^The requested filesystem/);
      expect((await stat('lab')).status).toBe(200);
      expect((await stat('lab', '/tmp')).status).toBe(200);
      expect((await jobs('lab')).status).toBe(200);
      expect(await serviceOf('lab', 'filesystem', '/tmp')).toMatchObject({ healthy: true });
    } finally {
      hung.recover();
    }
    await served(() => stat('lab', hung.path));
    const { body } = await client.get('/health/systems/lab?history=1500');
    const services = body.services as {
      path: string | null;
      history: { healthy: boolean; message: string | null }[];
    }[];
    const { history = [] } = services.find(({ path }) => path === hung.path) ?? {};
    expect(history[0]).toMatchObject({ healthy: true, message: null });
    expect(history.map(({ message }) => message)).toContain(`The file system ${hung.path} did not answer within 3 s.`);
  });
});

describe('a token issuer that is gone', () => {
  it('leaves the systems healthy: their accounts are known', async () => {
    await allWell('lab');
    await lab.oidc.stop();
    const before = Date.now();
    await vi.waitFor(async () => {
      const { lastChecked } = await serviceOf('lab', 'ssh');
      expect(Date.parse(lastChecked ?? '')).toBeGreaterThan(before + 2_000);
    }, noticed);
    await allWell('lab');
    await lab.oidc.start();
  });

  it('or that gives the probes no token, is shown as an exception and refuses nothing', async () => {
    await vi.waitFor(async () => {
      const { servicesHealth } = await systemNamed('nobody');
      expect(servicesHealth?.map(({ serviceType }) => serviceType)).toEqual(['s3', 'exception']);
      expect(servicesHealth?.[1]).toMatchObject({
        healthy: false,
        latency: null,
        message: 'The token issuer gave the service account no token (status 401).',
      });
    }, noticed);
    expect((await stat('nobody')).status).toBe(200);
  });
});

describe('the worker that probes', () => {
  it('is followed by another one when it is killed, and a broken service stays refused meanwhile', async () => {
    await other.stop();
    await refused(() => stat('other'), /^The ssh service/);
    const lease = `${broker.keyPrefix}:health:lease:other`;
    const leader = await redis.get(lease);
    const index = broker.workers.findIndex((worker) => leader?.includes(`-${worker.pid()}-`));
    expect(index).toBeGreaterThanOrEqual(0);
    await broker.workers[index]?.kill();
    await vi.waitFor(
      async () => expect(await redis.get(lease)).toSatisfy((now) => now !== null && now !== leader),
      noticed,
    );
    await refused(() => stat('other'), /^The ssh service/);
    await other.start();
    await served(() => stat('other'));
  });

  it('leaves nothing broken when nobody probes any more', async () => {
    await lab.sshd.stop();
    await refused(() => stat('lab'), /^The ssh service/);
    await Promise.all(broker.workers.map((worker) => worker.stop()));
    const task = { operation: 'filesystem.stat', system: 'lab', input: { path: file } };
    await vi.waitFor(async () => expect((await client.post('/tasks', task)).status).toBe(202), noticed);
    await lab.sshd.start();
  });
});
