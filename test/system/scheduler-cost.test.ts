/**
 * What many who wait for jobs cost the scheduler, by the controller's own count of what it was asked: one of the test's own,
 * which nobody else asks meanwhile.
 */
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { runCommand } from '../../lab/run-command.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { connectRedis } from '../../shared/platform/redis.ts';
import { createWatchStore } from '../../shared/platform/watch-store.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import { consentOf, watchIdOf } from '../../shared/watches/watch.ts';
import { eventually } from '../eventually.ts';
import { type Broker, type Client, clientOf, startBroker } from './broker-fixture.ts';

/** The default of `job_lookup_window`. */
const windowMs = 1_000;
const clientCount = 1_000;
/** Between two looks of the watcher. */
const intervalMs = 1_000;

let lab: Lab;
let alice: LabUser;
let broker: Broker;
let client: Client;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'slurm', 'oidc'], handlesSignals: false });
  alice = userNamed(lab.users, 'alice');
  const watches = { per_user_max: 20_000, interval_min: `${intervalMs}ms`, interval_max: '2s', lost_after: '4s' };
  broker = await startBroker(lab, { workers: 2, goldcrest: { watches } });
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

afterAll(async () => {
  await broker?.stop();
  await lab?.stop();
});

/**
 * Requests for the state of jobs that the controller has served: `REQUEST_JOB_INFO ( 2003) count:12 …` of sdiag(1). At
 * midnight it begins other figures anew (`Data since`), these not.
 */
async function jobQueries(): Promise<number> {
  const { stdout } = await runCommand('sdiag', [], { env: { SLURM_CONF: lab.slurm.confPath } });
  const counts = stdout.matchAll(/^\s*REQUEST_JOB_(?:USER_)?INFO(?:_SINGLE)?\s+\(\s*\d+\)\s+count:(\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

it('1,000 clients that poll 1,000 different jobs cost the scheduler one query in a window', {
  timeout: 120_000,
}, async () => {
  const script = `#!/bin/sh\n#SBATCH --hold --array=1-${clientCount}\nexit 0\n`;
  const job = { workingDirectory: alice.home, standardOutput: '/dev/null', script };
  const { jobId } = (await client.post('/compute/lab/jobs', { job })).body;
  const before = await jobQueries();
  const since = performance.now();
  await Promise.all(
    Array.from({ length: clientCount }, async (_, index) => {
      for (let poll = 0; poll < 2; poll += 1) {
        const answer = await client.get(`/compute/lab/jobs/${jobId}_${index + 1}`);
        expect(answer.status, answer.text).toBe(200);
        expect(answer.body.jobs[0]?.status.state).toBe('PENDING');
      }
    }),
  );
  const windows = Math.ceil((performance.now() - since) / windowMs);
  const queries = (await jobQueries()) - before;
  await client.delete(`/compute/lab/jobs/${jobId}`);
  expect(queries).toBeGreaterThan(0);
  // One more for the client that came first and kept nobody waiting.
  expect(queries).toBeLessThanOrEqual(windows + 1);
});

it('tells the age of an answer that was not made for the request', async () => {
  const job = {
    workingDirectory: alice.home,
    standardOutput: '/dev/null',
    script: '#!/bin/sh\n#SBATCH --hold\nexit 0\n',
  };
  const { jobId } = (await client.post('/compute/lab/jobs', { job })).body;
  const path = `/compute/lab/jobs/${jobId}`;
  expect((await client.get(path)).headers.get('age')).toBeNull();
  // One that comes after the window, on a busy machine, has an answer of its own.
  await eventually(async () => {
    const shared = await client.get(path);
    expect(Number(shared.headers.get('age') ?? Number.NaN)).toBeLessThanOrEqual(windowMs / 1_000);
  });
  expect((await client.delete(path)).status).toBe(204);
  expect((await client.get(path)).body.jobs[0]?.status.state).toBe('CANCELLED');
});

it('a job that is gone is lost only by proofs, and 10,000 watched ones cost the scheduler one query in an interval', {
  timeout: 120_000,
}, async () => {
  const script = '#!/bin/bash\n#SBATCH --time=5 --mem=100M\n#SBATCH --hold --array=1-1000\nexit 0\n';
  const job = { workingDirectory: alice.home, standardOutput: '/dev/null', script };
  const { jobId } = (await client.post('/compute/lab/jobs', { job })).body;
  const redis = connectRedis(lab.redis.url, 'persist', pino({ level: 'silent' }));
  const store = createWatchStore(redis, broker.keyPrefix);
  const principal = { issuer: 'i', subject: 's', client: null, username: alice.username };
  const owner = principalKey(principal);
  const add = async (watched: string): Promise<string> => {
    const taskId = randomUUID();
    const now = Date.now();
    const consent = consentOf({ principal, address: null, policy: 'builtin', taskId, now, keptMs: 3_600_000 });
    const watch = { id: watchIdOf(taskId), owner, system: 'lab', jobId: watched, consent, webhook: '', standing: null };
    expect(await store.add({ ...watch, createdAt: now - 60_000 }, null)).toBe('added');
    return watch.id;
  };
  const lost = await add('99999999');
  await vi.waitFor(async () => expect((await store.read([lost]))[0]?.phase).toBe('lost'), { timeout: 40_000 });
  const [watch] = await store.read([lost]);
  expect(watch?.looks.every(({ isProof }) => isProof)).toBe(true);
  expect((watch?.looks.at(-1)?.at ?? 0) - (watch?.looks[0]?.at ?? 0)).toBeGreaterThanOrEqual(4_000);

  const ids: string[] = [];
  for (let round = 0; round < 10; round += 1) {
    ids.push(...(await Promise.all(Array.from({ length: 1_000 }, (_, at) => add(`${jobId}_${at + 1}`)))));
  }
  const isSeen = async () => (await store.read(ids)).every(({ standing }) => standing?.state === 'PENDING');
  await vi.waitFor(async () => expect(await isSeen()).toBe(true), { timeout: 60_000, interval: 1_000 });
  const before = await jobQueries();
  const since = Date.now();
  await vi.waitFor(async () => expect(await jobQueries()).toBeGreaterThanOrEqual(before + 3), {
    ...{ timeout: 40_000, interval: 200 },
  });
  const intervals = Math.ceil((Date.now() - since) / intervalMs);
  expect((await jobQueries()) - before).toBeLessThanOrEqual(intervals + 1);
  for (let at = 0; at < ids.length; at += 1_000) {
    await Promise.all(ids.slice(at, at + 1_000).map((id) => store.remove(owner, id)));
  }
  await client.delete(`/compute/lab/jobs/${jobId}`);
  await redis.quit();
});
