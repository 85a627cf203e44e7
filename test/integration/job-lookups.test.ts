/** Look-ups of jobs that many share, on a real Slurm and a real Redis, by two workers. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { createJobLookups, type JobLookups, type LookupSite } from '../../workers/job-lookups/job-lookups.ts';
import { createLookupTurns } from '../../workers/job-lookups/lookup-turns.ts';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import type { SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import { eventually } from '../eventually.ts';
import { describeJob, newKey } from './scheduler-candidate.ts';
import { type SchedulerLab, startSchedulerLab } from './scheduler-fixture.ts';

const silent = pino({ level: 'silent' });
const noSignal = new AbortController().signal;
setMaxListeners(0, noSignal);
const scheduler = createScheduler({ scheduler: { type: 'slurm', timeoutMs: 15_000 } });
const impatient = createScheduler({ scheduler: { type: 'slurm', timeoutMs: 4_000 } });
/** Longer than any test: what waits for the end of a window fails. */
const endlessMs = 3_600_000;

let lab: SchedulerLab;
let connections: Redis[];
let keyPrefix: string;
let workers: JobLookups[];
/** The commands that were run, as `user command`. */
let runs: string[];

beforeAll(async () => {
  lab = await startSchedulerLab(['redis', 'sshd', 'slurm']);
}, 90_000);

afterAll(async () => {
  await lab?.stop();
}, 60_000);

function connect(): Redis {
  const connection = connectRedis(lab.lab.redis.url, 'persist', silent);
  connections.push(connection);
  return connection;
}

beforeEach(() => {
  keyPrefix = `lookups-${randomUUID()}`;
  runs = [];
  connections = [];
  workers = [1, 2].map(() => createJobLookups(createLookupTurns(connect(), connect(), keyPrefix, silent), silent));
});

afterEach(async () => {
  for (const worker of workers) worker.close();
  await Promise.all(connections.map((connection) => connection.quit()));
});

/** The real login, with what is run there written down. */
function watched(username: string): SchedulerHost {
  const host = lab.host(username);
  return {
    ...host,
    shell: {
      run(argv, options) {
        runs.push(`${username} ${String(argv[0])}`);
        return host.shell.run(argv, options);
      },
    },
  };
}

const site = (username: string, windowMs: number, account: string | null = null): LookupSite => ({
  ...{ system: 'lab', windowMs, scheduler, host: watched(username) },
  findAccount: async () => (account === null ? null : watched(account)),
});

async function submit(username: string, script = '#!/bin/sh\n#SBATCH --hold\nexit 0\n'): Promise<string> {
  const job = describeJob('/tmp', script, { standardOutput: '/dev/null' });
  return (await scheduler.submit(lab.host(username), { job, key: newKey(), signal: noSignal })).jobId;
}

const cancel = (username: string, jobId: string) => scheduler.cancel(lab.host(username), { jobId, signal: noSignal });

const worker = (index: number): JobLookups => workers[index % workers.length] ?? expect.unreachable();

const outcome = (found: Promise<{ jobs: { status: { state: string } }[] }>) =>
  found.then(
    ({ jobs }) => jobs[0]?.status.state,
    (error: unknown) => (error instanceof BrokerError ? error.code : String(error)),
  );

it('what one worker has answered, another one does not answer from before', async () => {
  const jobId = await submit('gcalice');
  const stateBy = async (index: number, windowMs: number) =>
    (await worker(index).get(site('gcalice', windowMs), jobId, noSignal)).jobs[0]?.status.state;
  expect(await stateBy(0, endlessMs)).toBe('PENDING');
  await cancel('gcalice', jobId);
  // The other one shares nothing, and hears of the end first.
  await vi.waitFor(async () => expect(await stateBy(1, 1)).toBe('CANCELLED'), { timeout: 30_000 });
  await eventually(async () => expect(await stateBy(0, endlessMs)).toBe('CANCELLED'));
});

describe('1,000 clients that wait for 1,000 different jobs', { timeout: 60_000 }, () => {
  it.each([
    ['of one user', null],
    ['through the service account', 'gcsvc'],
  ])('%s cost one query of the scheduler in a window, for both workers together', async (_title, account) => {
    const windowMs = 2_000;
    const array = await submit('gcalice', '#!/bin/sh\n#SBATCH --hold --array=1-950\nexit 0\n');
    const jobIds = Array.from({ length: 950 }, (_, index) => `${array}_${index + 1}`);
    for (let count = 0; count < 50; count += 1) jobIds.push(await submit('gcalice'));
    runs = [];
    const since = performance.now();
    const at = site('gcalice', windowMs, account);
    // Every client asks again as soon as it was answered.
    const answers = await Promise.all(
      jobIds.map(async (jobId, index) => {
        const first = await worker(index).get(at, jobId, noSignal);
        const second = await worker(index + 1).get(at, jobId, noSignal);
        return [first, second];
      }),
    );
    const windows = Math.ceil((performance.now() - since) / windowMs);
    for (const [index, seen] of answers.entries()) {
      for (const { jobs, ageMs } of seen) {
        const range = jobs.map((job) => job.jobId);
        expect(jobIds[index]?.startsWith(`${array}_`) ? [`${array}_[1-950]`] : [jobIds[index]]).toEqual(range);
        expect(jobs[0]?.status.state).toBe('PENDING');
        expect(ageMs).toBeLessThanOrEqual(windowMs + 15_000);
      }
    }
    // One more for the client that came first and kept nobody waiting.
    expect(runs.filter((run) => run.endsWith('squeue')).length).toBeLessThanOrEqual(windows + 1);
    expect(runs.filter((run) => run.endsWith('sacct'))).toEqual([]);
    expect(new Set(runs.map((run) => run.split(' ')[0]))).toEqual(new Set([account ?? 'gcalice']));
    for (const jobId of [array, ...jobIds.slice(950)]) await cancel('gcalice', jobId);
  });
});

describe('a look-up', () => {
  it('of a client that is alone is never kept waiting', async () => {
    const jobIds = [await submit('gcalice'), await submit('gcalice'), await submit('gcalice')];
    for (const jobId of [...jobIds, ...jobIds]) {
      expect(await outcome(worker(0).get(site('gcalice', endlessMs), jobId, noSignal))).toBe('PENDING');
    }
    expect(runs).toHaveLength(3); // the second time out of the first
    for (const jobId of jobIds) await cancel('gcalice', jobId);
  });

  it('finds a job that was submitted a moment ago, whatever was answered before', async () => {
    const windowMs = 500;
    for (let count = 0; count < 5; count += 1) {
      const jobId = await submit('gcalice');
      const asked = ['4294000', jobId, '4294001'].map((id, index) =>
        outcome(worker(index).get(site('gcalice', windowMs), id, noSignal)),
      );
      expect(await Promise.all(asked)).toEqual(['JobNotFound', 'PENDING', 'JobNotFound']);
      await cancel('gcalice', jobId);
    }
  });

  it('shows no state from before a change that the same user made', async () => {
    const at = site('gcalice', endlessMs);
    const jobId = await submit('gcalice');
    expect(await outcome(worker(0).get(at, jobId, noSignal))).toBe('PENDING');
    await cancel('gcalice', jobId);
    expect(await outcome(worker(0).get(at, jobId, noSignal))).toBe('PENDING'); // not told of the change yet
    worker(1).changed(at);
    await eventually(async () => expect(await outcome(worker(0).get(at, jobId, noSignal))).toBe('CANCELLED'));
  });

  it('goes on when the worker whose turn it was is gone', async () => {
    const jobId = await submit('gcalice');
    const lost = createLookupTurns(connect(), connect(), keyPrefix, silent);
    expect(await lost.ask('lab gcalice', [{ jobId, username: 'gcalice' }])).toMatchObject({ isMine: true });
    expect(await outcome(worker(0).get(site('gcalice', 100), jobId, noSignal))).toBe('PENDING');
    await cancel('gcalice', jobId);
  });

  it('ends with its own signal, and leaves the others alone', async () => {
    const jobId = await submit('gcalice');
    const gone = new AbortController();
    const [first, second] = [gone.signal, noSignal].map((signal) => worker(0).get(site('gcalice', 100), jobId, signal));
    gone.abort(new BrokerError('TaskCanceled'));
    await expect(first).rejects.toMatchObject({ code: 'TaskCanceled' });
    await expect(second).resolves.toMatchObject({ jobs: [{ jobId }] });
    await cancel('gcalice', jobId);
  });

  it('fails for all at once while the controller does not answer, and not as "not found"', async () => {
    const jobIds = [await submit('gcalice'), await submit('gcalice'), await submit('gcalice')];
    lab.lab.slurm.controller.pause();
    const at = { ...site('gcalice', 100), scheduler: impatient };
    const asked = jobIds.map((jobId, index) => outcome(worker(index).get(at, jobId, noSignal)));
    const codes = await Promise.all(asked).finally(() => lab.lab.slurm.controller.resume());
    expect(new Set(codes)).toEqual(new Set(['SchedulerFailed']));
    for (const jobId of jobIds) await cancel('gcalice', jobId);
  });
});

describe('whose jobs are shown', { timeout: 60_000 }, () => {
  it("answers other people's jobs out of the user's own login only", async () => {
    const jobId = await submit('gcbob');
    expect(await outcome(worker(0).get(site('gcalice', 100, 'gcsvc'), jobId, noSignal))).toBe('PENDING');
    expect(runs).toContain('gcalice squeue');
    await cancel('gcbob', jobId);
  });

  it('never shows what the scheduler hides from the user, though it shows it to the service account', async () => {
    const { confPath } = lab.lab.slurm;
    const before = readFileSync(confPath, 'utf8');
    appendFileSync(confPath, 'PrivateData=jobs\n');
    await lab.lab.slurm.admin('scontrol', ['reconfigure']);
    try {
      const [mine, other] = [await submit('gcalice'), await submit('gcbob')];
      const at = site('gcalice', 200, 'gcsvc');
      expect(await outcome(worker(0).get(site('gcsvc', 200), other, noSignal))).toBe('PENDING');
      const asked = [mine, other, mine, other].map((jobId, index) => outcome(worker(index).get(at, jobId, noSignal)));
      const [own, hidden] = await Promise.all(asked);
      expect(own).toBe('PENDING');
      const direct = await outcome(
        scheduler.get(lab.host('gcalice'), { jobId: other, signal: noSignal }).then((jobs) => ({ jobs })),
      );
      expect(hidden).toBe(direct);
      expect(runs).toContain('gcalice squeue');
      await cancel('gcalice', mine);
      await cancel('gcbob', other);
    } finally {
      writeFileSync(confPath, before);
      await lab.lab.slurm.admin('scontrol', ['reconfigure']);
    }
  });

  it('asks users themselves where the service account cannot log in', async () => {
    const jobId = await submit('gcalice');
    const at = site('gcalice', 100, 'gc-nobody-of-that-name');
    expect(await outcome(worker(0).get(at, jobId, noSignal))).toBe('PENDING');
    expect(await outcome(worker(0).get(at, jobId, noSignal))).toBe('PENDING');
    expect(runs.filter((run) => run.startsWith('gc-nobody'))).toHaveLength(1);
    await cancel('gcalice', jobId);
  });
});
