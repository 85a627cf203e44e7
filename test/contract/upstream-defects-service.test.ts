/** What FirecREST v2 gets wrong as a service: tokens, hosts, load, repeats, and the statuses of its answers. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { freePorts } from '../../lab/free-ports.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import { createStore } from '../integration/openfga-fixture.ts';
import {
  type Broker,
  type Client,
  clientOf,
  createClient,
  locationOf,
  pathQuery,
  startBroker,
  taskEnd,
} from '../system/broker-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const home = `/filesystem/lab/ops/stat?${pathQuery(alice.home)}`;
const jobs = '/compute/lab/jobs';
const held = { job: { workingDirectory: alice.home, script: '#!/bin/sh\n#SBATCH --hold\nexit 0\n' } };

let broker: Broker;
let client: Client;

beforeAll(async () => {
  broker = await startBroker(lab);
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

afterAll(() => broker?.stop());

describe('defect 6: a token', () => {
  it('for another audience is refused, though the issuer and its key are the same', async () => {
    const token = await requestToken(lab.oidc, 'alice', { audience: 'another-service' });
    expect((await client.get(home, { token })).status).toBe(401);
  });

  it('that is missing is 401 with a challenge', async () => {
    const { status, headers } = await client.get(home, { token: null });
    expect([status, headers.get('www-authenticate')]).toEqual([401, expect.stringMatching(/^Bearer/)]);
  });

  it.each([home, '/filesystem/lab/ops/stat?path=/none', '/status/systems', '/nowhere'])(
    'is in no header and no body of the answer to %s',
    async (path) => {
      const token = await requestToken(lab.oidc, 'alice');
      const { headers, text } = await client.get(path, { token });
      expect(JSON.stringify([...headers]) + text).not.toContain(token.split('.')[2]);
    },
  );
});

describe('defect 5: OpenFGA’s word', () => {
  it('counts: a no is 403, each class of operations is asked for by itself, and the list has what may be seen', async () => {
    const store = await createStore(lab.openfga);
    await store.grant('service_client:alice', 'read_files', 'system:lab', {});
    const { apiUrl: url, apiToken } = lab.openfga;
    const judged = await startBroker(lab, {
      scheduler: 'process',
      otherSystems: [{ name: 'other', sshd: lab.sshd }],
      goldcrest: { authorization: { url, store_id: store.storeId, api_token: apiToken } },
    });
    try {
      const user = createClient(judged.url, await requestToken(lab.oidc, 'alice'));
      const answers = [await user.get(home), await user.post(jobs, held), await user.get(home.replace('lab', 'other'))];
      expect(answers.map(({ status }) => status)).toEqual([200, 403, 403]);
      const { systems } = (await user.get('/status/systems')).body as unknown as { systems: { name: string }[] };
      expect(systems.map(({ name }) => name)).toEqual(['lab']);
    } finally {
      await judged.stop();
    }
  });
});

describe('a login node', () => {
  const askedThrough = async (options: Parameters<typeof startBroker>[1]) => {
    const other = await startBroker(lab, { scheduler: 'process', ...options });
    try {
      return await createClient(other.url, await requestToken(lab.oidc, 'alice')).get(home);
    } finally {
      await other.stop();
    }
  };

  it('defect 7: with another key than the configured one is not talked to', async () => {
    const systems = { lab: { host_keys: { pinned: [alice.publicKey] } } };
    const { status, body } = await askedThrough({ goldcrest: { systems } });
    expect([status, body.code]).toEqual([424, 'HostKeyMismatch']);
  });

  it('defect 16: that refuses connections is a failed dependency, in words', async () => {
    const [port] = await freePorts(1);
    const { status, body } = await askedThrough({ ssh: { port } });
    expect([status, body.code, body.message]).toEqual([424, 'SshUnavailable', expect.not.stringMatching(/^\(/)]);
  });

  it('defect 9: serves sixty requests of one user at a time, where sshd allows ten channels on a connection', async () => {
    const paths = Array.from({ length: 60 }, (_, index) => {
      const query = pathQuery(alice.home);
      return ['stat', 'file', 'ls'].map((name) => `/filesystem/lab/ops/${name}?${query}`)[index % 3] ?? home;
    });
    const answers = await Promise.all(paths.map((path) => client.get(path)));
    expect(answers.filter(({ status }) => status !== 200).map(({ text }) => text)).toEqual([]);
  });
});

it('defect 15: a probe that has a second leaves the commands of users their own time', async () => {
  const services = { ssh: { timeout: 1 }, scheduler: { timeout: 1 }, filesystem: { timeout: 1 } };
  const probed = await startBroker(lab, {
    cluster: { probing: { interval_check: 2, services } },
  });
  try {
    const user = await clientOf(lab.oidc, probed.url, 'alice');
    await vi.waitFor(async () => {
      const [system] = (await user.get('/status/systems')).body.systems as { servicesHealth: unknown[] | null }[];
      expect(system?.servicesHealth).not.toBeNull();
    }, 30_000);
    const job = { workingDirectory: alice.home, script: '#!/bin/sh\nexec sleep 60\n', standardOutput: '/dev/null' };
    const { body } = await user.post(jobs, { job });
    const isRunning = async () =>
      expect((await user.get(`${jobs}/${body.jobId}`)).body.jobs[0]?.status.state).toBe('RUNNING');
    await vi.waitFor(isRunning, { timeout: 45_000, interval: 250 });
    const command = 'sleep 3; echo done';
    const headers = { prefer: 'respond-async' };
    const accepted = await user.send('PUT', `${jobs}/${body.jobId}/attach`, { body: { command }, headers });
    const { result, error } = await taskEnd(user, locationOf(accepted));
    expect({ error, result }).toMatchObject({ error: null, result: { exitCode: 0, stdout: 'done\n' } });
    await user.delete(`${jobs}/${body.jobId}`);
  } finally {
    await probed.stop();
  }
});

describe('a request', () => {
  it('defect 19: that is repeated with its key is done once', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all([1, 2, 3].map(() => client.post(jobs, held, { headers })));
    const ids = new Set(answers.map(({ body }) => body.jobId));
    expect([answers.map(({ status }) => status), ids.size]).toEqual([[201, 201, 201], 1]);
    for (const id of ids) await client.delete(`${jobs}/${id}`);
  });

  it('has a status of its own while it runs, and can be canceled', async () => {
    const headers = { prefer: 'respond-async' };
    const accepted = await client.get(home, { headers });
    expect(accepted.status).toBe(202);
    const location = locationOf(accepted);
    await client.delete(location);
    expect((await taskEnd(client, location)).state).toMatch(/^(canceled|completed)$/);
  });

  it.each(['not-a-uuid', '', 'x'.repeat(300)])('defect 16: with the tracing id %.20j is served', async (id) => {
    const { status, headers } = await client.get(home, { headers: { 'x-request-id': id, 'x-correlation-id': id } });
    expect([status, headers.get('x-request-id')]).toEqual([
      200,
      expect.stringMatching(/^[0-9a-f]{32}$|^[0-9a-f-]{36}$/),
    ]);
  });

  it('defect 16: that is wrong is told its field and what to send, as it was spelled', async () => {
    const { status, body } = await client.post(jobs, { job: { ...held.job, env: { A: 1 } } });
    expect(status).toBe(400);
    expect(body.message).toMatch(/`job\.env\.A` must be a text/);
    expect(body.data).toMatchObject({ fields: [{ location: 'body', name: 'job' }] });
  });

  it('for a system by another case of its name reaches it', async () => {
    expect((await client.get(home.replace('/lab/', '/LAB/'))).status).toBe(200);
  });
});
