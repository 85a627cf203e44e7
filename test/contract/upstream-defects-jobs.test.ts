/** What FirecREST v2 gets wrong with jobs and the scheduler, held to what its users need, on a real Slurm. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { type Broker, type Client, clientOf, locationOf, startBroker, taskEnd } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const jobs = '/compute/lab/jobs';
const none = '999999999';
const longAccount = 'project_with_a_name_of_more_than_ten_letters';

let broker: Broker;
let client: Client;
let own: OwnDirectory;

const admin = (command: string, args: readonly string[]) =>
  runCommand(command, args, { env: { SLURM_CONF: lab.slurm.confPath } });

beforeAll(async () => {
  broker = await startBroker(lab);
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(alice);
  await admin('sacctmgr', ['-i', 'add', 'account', longAccount]);
  await admin('sacctmgr', ['-i', 'add', 'user', alice.username, `account=${longAccount}`]);
});

afterAll(async () => {
  await admin('sacctmgr', ['-i', 'remove', 'user', alice.username, `account=${longAccount}`]);
  await admin('sacctmgr', ['-i', 'remove', 'account', longAccount]);
  own?.remove();
  await broker?.stop();
});

async function submit(job: Record<string, unknown>): Promise<string> {
  const { status, text, body } = await client.post(jobs, { job: { workingDirectory: own.path, ...job } });
  expect(status, text).toBe(201);
  return body.jobId;
}

const held = '#!/bin/sh\n#SBATCH --hold\nexit 0\n';

function untilState(jobId: string, state: string): Promise<void> {
  return vi.waitFor(async () => expect((await client.get(`${jobs}/${jobId}`)).body.jobs[0]?.status.state).toBe(state), {
    timeout: 45_000,
    interval: 250,
  });
}

describe('a job', () => {
  it.each(['a|b', '|', "it's", 'a b', 'ünï'])('defect 12: whose name is %j is seen by that name', async (name) => {
    const jobId = await submit({ name, script: held });
    try {
      expect((await client.get(`${jobs}/${jobId}`)).body.jobs).toMatchObject([{ jobId, name }]);
      const listed = (await client.get(jobs)).body.jobs.filter((job) => job.jobId === jobId);
      expect(listed).toMatchObject([{ jobId, name }]);
    } finally {
      await client.delete(`${jobs}/${jobId}`);
    }
  });

  it('starts with every value of its environment as it was sent', async () => {
    const env = {
      COMMAS: 'a,b=c,ALL',
      QUOTES: `it's "x" \`id\` $(id) \\`,
      LINES: 'one\ntwo\n',
      EMPTY: '',
      SPACES: '  x ',
    };
    const print = Object.keys(env).map((name) => `printf '%s\\0' "$${name}"`);
    const jobId = await submit({ env, script: `#!/bin/sh\n${print.join('\n')}\n`, standardOutput: 'env.out' });
    await untilState(jobId, 'COMPLETED');
    const values = readFileSync(join(own.path, 'env.out'), 'utf8').split('\0').slice(0, -1);
    expect(values).toEqual(Object.values(env));
  });

  it('without a script is refused at once', async () => {
    for (const script of [undefined, '']) {
      const { status, body } = await client.post(jobs, { job: { workingDirectory: own.path, script } });
      expect([status, body.message]).toEqual([400, expect.stringMatching(/script/)]);
    }
  });

  it('takes its environment as a list, too', async () => {
    const jobId = await submit({ env: ['A=1', 'B=x=y'], script: held });
    await client.delete(`${jobs}/${jobId}`);
  });

  it('defect 11: of an array is asked for, described and canceled by its own id', async () => {
    const jobId = await submit({ script: '#!/bin/sh\n#SBATCH --array=1-2\nsleep 300\n' });
    try {
      await vi.waitFor(
        async () => {
          const { status, body } = await client.get(`${jobs}/${jobId}_1`);
          expect([status, body.jobs[0]?.status.state]).toEqual([200, 'RUNNING']);
        },
        { timeout: 45_000, interval: 250 },
      );
      expect((await client.get(`${jobs}/${jobId}_1`)).body.jobs).toMatchObject([{ jobId: `${jobId}_1` }]);
      expect((await client.get(`${jobs}/${jobId}_1/metadata`)).status).toBe(200);
      expect((await client.delete(`${jobs}/${jobId}_1`)).status).toBe(204);
      await untilState(`${jobId}_1`, 'CANCELLED');
      expect((await client.get(`${jobs}/${jobId}_2`)).body.jobs[0]?.status.state).toMatch(/^(PENDING|RUNNING)$/);
    } finally {
      await client.delete(`${jobs}/${jobId}`);
    }
  });

  it('that was canceled has the bare word as its state', async () => {
    const jobId = await submit({ script: held });
    await client.delete(`${jobs}/${jobId}`);
    await untilState(jobId, 'CANCELLED');
  });

  it('defect 14: is attached to by a command that runs inside it as a whole', async () => {
    const jobId = await submit({ script: '#!/bin/sh\nexec sleep 300\n' });
    try {
      await untilState(jobId, 'RUNNING');
      const command = `cd ${own.path}; echo "$SLURM_JOB_ID" > first; echo "$SLURM_JOB_ID" > second`;
      const { status, text } = await client.send('PUT', `${jobs}/${jobId}/attach`, { body: { command } });
      expect(status, text).toBe(204);
      const inside = ['first', 'second'].map((name) => readFileSync(join(own.path, name), 'utf8'));
      expect(inside).toEqual([`${jobId}\n`, `${jobId}\n`]);
      // 64 KiB that are six times as many in JSON, more than a record keeps: what was run is told, with less of its output.
      const loud = `cd ${own.path}; echo x >> ran; head -c 32768 /dev/zero; head -c 32768 /dev/zero >&2`;
      const wish = { operation: 'compute.attach', system: 'lab', input: { jobId, command: loud } };
      const location = locationOf(await client.post('/tasks', wish));
      const { state, result } = await taskEnd(client, location);
      expect([state, result]).toEqual([
        'completed',
        { exitCode: 0, stdout: '\0'.repeat(16_384), stderr: '\0'.repeat(16_384), isTruncated: true },
      ]);
      expect((await client.send('PUT', `${jobs}/${jobId}/attach`, { body: { command: loud } })).status).toBe(204);
      expect(readFileSync(join(own.path, 'ran'), 'utf8')).toBe('x\nx\n');
    } finally {
      await client.delete(`${jobs}/${jobId}`);
    }
  });
});

it.each([
  ['GET', ''],
  ['GET', '/metadata'],
  ['DELETE', ''],
  ['PUT', '/attach'],
])('defect 16: an unknown job is 404 for %s %s', async (method, path) => {
  const body = method === 'PUT' ? { body: { command: 'true' } } : {};
  const answer = await client.send(method, `${jobs}/${none}${path}`, body);
  expect([answer.status, answer.body.message]).toEqual([404, expect.stringMatching(/^Job not found\.?$/)]);
});

describe('defect 16: what the scheduler refuses', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a partition', { partition: 'nowhere' }, /[Ii]nvalid partition/],
    ['an account', { account: 'nobodys' }, /[Ii]nvalid account/],
    ['a constraint', { constraints: 'nothing' }, /[Ii]nvalid feature/],
    ['a script file', { script: undefined, scriptPath: '/tmp/none.sh' }, /Unable to open file/],
  ])('of %s is 400 with its own words', async (_title, job, words) => {
    const body = { job: { workingDirectory: own.path, script: held, ...job } };
    const answer = await client.post(jobs, body);
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringMatching(words)]);
  });
});

describe('what the scheduler says of itself', () => {
  it('defects 12 and 22: names accounts in full, each once, and both shapes of the groups', async () => {
    const { body } = await client.get('/status/lab/userinfo');
    const { accounts, group, groups } = body as unknown as Record<string, { name: string; default: boolean }[]>;
    const found = accounts?.map(({ name }) => name) ?? [];
    expect(found).toContain(longAccount);
    expect(new Set(found).size).toBe(found.length);
    expect(group).toEqual({ id: String(alice.gid), name: expect.any(String) });
    expect(groups).toContainEqual({ id: String(alice.gid), name: expect.any(String), default: true });
  });

  it('defect 12: sockets, cores and threads of a node are three numbers', async () => {
    const { body } = await client.get('/status/lab/nodes');
    const shown = (await admin('scontrol', ['show', 'node', '--oneliner'])).stdout;
    for (const { name, ...node } of (body as unknown as { nodes: Record<string, unknown>[] }).nodes) {
      const line = shown.split('\n').find((each) => each.startsWith(`NodeName=${String(name)} `)) ?? '';
      const number = (field: string) => Number(new RegExp(` ${field}=(\\d+)`).exec(line)?.[1]);
      expect(node).toMatchObject({
        sockets: number('Sockets'),
        cores: number('CoresPerSocket'),
        threads: number('ThreadsPerCore'),
      });
    }
  });
});
