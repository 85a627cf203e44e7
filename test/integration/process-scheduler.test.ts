import { readFileSync } from 'node:fs';
import { cpus, hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import type { SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import { type Candidate, describeJob, jobEnd, jobRunning, newKey } from './scheduler-candidate.ts';
import { describeSchedulerConformance } from './scheduler-conformance.ts';
import { type SchedulerLab, startSchedulerLab } from './scheduler-fixture.ts';

const noSignal = new AbortController().signal;
const adapter = createScheduler({ scheduler: { type: 'process', timeoutMs: 10_000 } });

let lab: SchedulerLab;
let host: SchedulerHost;
let candidate: Candidate;

beforeAll(async () => {
  lab = await startSchedulerLab(['sshd']);
  host = lab.host('gcalice');
  candidate = { adapter, host, directory: await lab.directory('gcalice') };
}, 60_000);

afterAll(async () => {
  await lab?.stop();
}, 30_000);

describeSchedulerConformance('process', async () => candidate);

describe('the process scheduler', () => {
  const submit = (script: string, key = newKey()) =>
    adapter.submit(host, { job: describeJob(candidate.directory, script), key, signal: noSignal });
  const output = async (jobId: string): Promise<string> =>
    (await host.files.readFile(`${candidate.directory}/job-${jobId}.out`, { bytesMax: 10_000 })).toString();

  it('runs a job once, however many submissions with its key arrive together', async () => {
    const key = newKey();
    const marks = `${candidate.directory}/marks`;
    const script = `#!/bin/sh\necho ran >>'${marks}'\n`;
    const submissions = await Promise.all(Array.from({ length: 8 }, () => submit(script, key)));
    const jobIds = new Set(submissions.map(({ jobId }) => jobId));
    expect(jobIds.size).toBe(1);
    const [jobId = ''] = jobIds;
    await jobEnd(candidate, jobId);
    expect(await submit(script, key)).toEqual({ jobId });
    expect((await host.files.readFile(marks, { bytesMax: 100 })).toString()).toBe('ran\n');
  });

  it('names the task of a job where an admin of the host looks, in the file `key` of its folder', async () => {
    const key = newKey();
    const { jobId } = await submit('#!/bin/sh\nexit 0\n', key);
    const home = (await host.shell.run(['sh', '-c', 'echo $HOME'])).stdout.toString().trim();
    expect(readFileSync(`${home}/.local/state/goldcrest/jobs/${jobId}/key`, 'utf8')).toBe(`${key}\n`);
  });

  it('ends a job that runs past its time limit, with its processes, and says so', async () => {
    const script = '#!/bin/sh\nsleep 300 & echo $! >overdue-child\nwait\n';
    const job = describeJob(candidate.directory, script, { timeLimitSeconds: 1 });
    const { jobId } = await adapter.submit(host, { job, key: newKey(), signal: noSignal });
    expect((await jobEnd(candidate, jobId)).status.state).toBe('TIMEOUT');
    const child = await host.files.readFile(`${candidate.directory}/overdue-child`, { bytesMax: 100 });
    await vi.waitFor(
      async () => expect((await host.shell.run(['kill', '-0', child.toString().trim()])).exitCode).not.toBe(0),
      { timeout: 30_000 },
    );
  });

  it('leaves no timer behind when a job ends before its limit', async () => {
    const job = describeJob(candidate.directory, '#!/bin/sh\nexit 0\n', { timeLimitSeconds: 987_654 });
    const { jobId } = await adapter.submit(host, { job, key: newKey(), signal: noSignal });
    expect(await jobEnd(candidate, jobId)).toMatchObject({ status: { state: 'COMPLETED' }, time: { limit: 987_654 } });
    await vi.waitFor(
      async () => expect((await host.shell.run(['pgrep', '-f', '^sleep 987654$'])).stdout.toString()).toBe(''),
      { timeout: 30_000 },
    );
  });

  it.each(['gpus', 'qos', 'array', 'dependency', 'exclusive', 'licenses', 'mailUser', 'memoryPerNodeBytes'] as const)(
    'refuses %s by its name: it would have no effect',
    async (field) => {
      const values = {
        qos: 'a',
        array: '1-2',
        dependency: 'afterok:1',
        licenses: 'a',
        mailUser: 'a@b',
        exclusive: true,
      };
      const job = describeJob(candidate.directory, '#!/bin/sh\n', { [field]: { ...values }[field as 'qos'] ?? 1 });
      const refused = adapter.submit(host, { job, key: newKey(), signal: noSignal });
      await expect(refused).rejects.toMatchObject({ code: 'NotSupported', message: expect.stringContaining(field) });
    },
  );

  it('gives every job an id of its own, also to submissions that arrive together', async () => {
    const submissions = await Promise.all(
      Array.from({ length: 8 }, () => submit('#!/bin/sh\necho $GOLDCREST_JOB_ID\n')),
    );
    expect(new Set(submissions.map(({ jobId }) => jobId)).size).toBe(8);
    for (const { jobId } of submissions) {
      await jobEnd(candidate, jobId);
      expect(await output(jobId)).toBe(`${jobId}\n`);
    }
  });

  it('shows a job whose supervisor and processes vanished as NODE_FAIL, never as running', async () => {
    const { jobId } = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(candidate, jobId);
    const state = `.local/state/goldcrest/jobs/${jobId}`;
    const program = 'cd; kill -KILL "$(readlink "$1/started" | cut -d. -f1)" "$(cut -d" " -f2 "$1/begun")"';
    await host.shell.run(['sh', '-c', program, 'sh', state]);
    expect((await jobEnd(candidate, jobId)).status).toMatchObject({ state: 'NODE_FAIL', exitCode: null });
  });

  it('ends a job that ignores SIGTERM, with everything it started', async () => {
    const { jobId } = await submit(
      `#!/bin/sh\ntrap '' TERM\n(sleep 300 & wait) &\necho ready\nwhile :; do sleep 1; done\n`,
    );
    await vi.waitFor(async () => expect(await output(jobId)).toBe('ready\n'), { timeout: 30_000 });
    await adapter.cancel(host, { jobId, signal: noSignal });
    expect((await jobEnd(candidate, jobId)).status).toMatchObject({ state: 'CANCELLED', interruptSignal: 9 });
  });

  it('refuses a working directory that cannot be entered', async () => {
    const job = describeJob('/nonexistent', '#!/bin/sh\n');
    const submission = adapter.submit(host, { job, key: newKey(), signal: noSignal });
    await expect(submission).rejects.toMatchObject({ code: 'InvalidJob' });
  });

  it("keeps a user's jobs from other users", async () => {
    const { jobId } = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(candidate, jobId);
    const { stdout } = await host.shell.run(['sh', '-c', 'cd; stat -c %a .local/state/goldcrest']);
    expect(stdout.toString()).toBe('700\n');
    await adapter.cancel(host, { jobId, signal: noSignal });
  });

  it('keeps a bounded number of ended jobs, and every one that still runs', async () => {
    const bob = lab.host('gcbob');
    const directory = await lab.directory('gcbob');
    const owned = { adapter, host: bob, directory };
    const submitAsBob = async (script: string): Promise<string> =>
      (await adapter.submit(bob, { job: describeJob(directory, script), key: newKey(), signal: noSignal })).jobId;
    const running = await submitAsBob('#!/bin/sh\nexec sleep 300\n');
    const ended = await submitAsBob('#!/bin/sh\nexit 0\n');
    await jobEnd(owned, ended);
    await jobRunning(owned, running);
    // As if 1,000 jobs and more had followed; each hundredth sweeps.
    const last = (Math.floor(Number(ended) / 100) + 12) * 100 - 1;
    await bob.shell.run(['sh', '-c', 'cd; echo "$1" >.local/state/goldcrest/last', 'sh', String(last)]);
    expect(await submitAsBob('#!/bin/sh\nexit 0\n')).toBe(String(last + 1));
    await expect(adapter.get(bob, { jobId: ended, signal: noSignal })).rejects.toMatchObject({ code: 'JobNotFound' });
    expect((await jobRunning(owned, running)).jobId).toBe(running);
    await adapter.cancel(bob, { jobId: running, signal: noSignal });
  });

  it('lists a thousand ended jobs in the time of one command', async () => {
    const carol = lab.host('gccarol');
    const directory = await lab.directory('gccarol');
    const job = describeJob(directory, '#!/bin/sh\nexit 0\n', { name: 'many' });
    const { jobId } = await adapter.submit(carol, { job, key: newKey(), signal: noSignal });
    await jobEnd({ adapter, host: carol, directory }, jobId);
    const copy = 'cd .local/state/goldcrest/jobs && for n in $(seq 5001 6000); do cp -a "$1" "$n"; done';
    await carol.shell.run(['sh', '-c', `cd; ${copy}`, 'sh', jobId]);
    const request = { isAllUsers: true, account: null, name: 'many', windowSeconds: 3_600, signal: noSignal };
    const { jobs, isComplete } = await adapter.list(carol, request);
    expect(jobs.length).toBeGreaterThan(1_000);
    expect([jobs[0]?.jobId, isComplete]).toEqual(['6000', true]);
    await carol.shell.run(['sh', '-c', 'cd .local/state/goldcrest/jobs && rm -rf 5??? 6000']);
  });

  it('says that its jobs cannot be attached to', async () => {
    const attached = adapter.attach(host, { jobId: '1', command: 'true', signal: noSignal });
    await expect(attached).rejects.toMatchObject({ code: 'NotSupported' });
  });

  it('shows the host as its one node and its one partition', async () => {
    const [node, ...more] = await adapter.nodes(host, noSignal);
    expect(more).toEqual([]);
    expect(node).toMatchObject({ cpus: cpus().length, hostname: hostname(), partitions: ['local'] });
    expect(node?.freeMemory).toBeGreaterThan(0);
    expect(await adapter.partitions(host, { showsHidden: false, signal: noSignal })).toEqual([
      { name: 'local', cpus: cpus().length, totalNodes: 1, partition: 'UP' },
    ]);
  });
});
