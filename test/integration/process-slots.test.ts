/** A host without a batch system whose jobs share slots: who runs, who waits, and what becomes of the slots of the dead. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { defaultProcessJobs } from '../../shared/platform/config/process-jobs.ts';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import type { JobChanges, SchedulerAdapter, SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import { describeJob, failure, jobEnd, jobRunning, newKey } from './scheduler-candidate.ts';
import { type SchedulerLab, startSchedulerLab } from './scheduler-fixture.ts';

const signal = new AbortController().signal;
const sleeper = '#!/bin/sh\nexec sleep 300\n';
const unchanged: JobChanges = {
  ...{ name: null, account: null, partition: null, qos: null, timeLimitSeconds: null, beginAt: null, priority: null },
};

let lab: SchedulerLab;
let alice: SchedulerHost;
let bob: SchedulerHost;
const directories = new Map<string, string>();
let slotsDirectory: string;
let adapter: SchedulerAdapter;
let submitted: [SchedulerHost, string][];

beforeAll(async () => {
  lab = await startSchedulerLab(['sshd']);
  alice = await hostOf('gcalice');
  bob = await hostOf('gcbob');
}, 60_000);

afterAll(async () => {
  await lab?.stop();
}, 30_000);

beforeEach(() => {
  slotsDirectory = `/tmp/gc-slots-${randomUUID()}`;
  adapter = withLimits({ slots: 2 });
  submitted = [];
});

afterEach(async () => {
  for (const [host, jobId] of submitted) await adapter.cancel(host, { jobId, signal });
  for (const [host, jobId] of submitted) await jobEnd(candidate(host), jobId);
  rmSync(slotsDirectory, { recursive: true, force: true });
}, 60_000);

/** The user with a state of its own, which other test files do not fill. */
async function hostOf(username: string): Promise<SchedulerHost> {
  const host = lab.host(username);
  const directory = await lab.directory(username);
  directories.set(username, directory);
  const env = { XDG_STATE_HOME: directory };
  return {
    ...host,
    shell: { run: (argv, options = {}) => host.shell.run(argv, { ...options, env: { ...env, ...options.env } }) },
  };
}

function withLimits(more: Partial<typeof defaultProcessJobs>): SchedulerAdapter {
  const processJobs = { ...defaultProcessJobs, slotsDirectory, ...more };
  return createScheduler({ scheduler: { type: 'process', timeoutMs: 10_000, processJobs } });
}

function candidate(host: SchedulerHost) {
  return { adapter, host, directory: directories.get(host.username) ?? '' };
}

async function submit(host: SchedulerHost, script = sleeper, more: Partial<JobDescription> = {}): Promise<string> {
  const job = describeJob(candidate(host).directory, script, more);
  const { jobId } = await adapter.submit(host, { job, key: newKey(), signal });
  submitted.push([host, jobId]);
  return jobId;
}

async function statusOf(host: SchedulerHost, jobId: string) {
  const [job] = await adapter.get(host, { jobId, signal });
  return job?.status ?? expect.unreachable('the job is not there');
}

/** Resolves when some job is first in the queue and waits for slots. */
async function someoneIsFirst(): Promise<void> {
  await vi.waitFor(
    async () => {
      const isFree = await runCommand('flock', ['--nonblock', `${slotsDirectory}/gate`, 'true']).then(
        () => true,
        () => false,
      );
      expect(isFree).toBe(false);
    },
    { timeout: 30_000, interval: 50 },
  );
}

const waiting = { state: 'PENDING', stateReason: 'Resources' };

describe('jobs that share the slots of a host', { timeout: 60_000 }, () => {
  it('run as many at once as there are slots, and then in the order they came, whoever they belong to', async () => {
    const [first, second] = [await submit(alice), await submit(alice)];
    await jobRunning(candidate(alice), first);
    await jobRunning(candidate(alice), second);
    const third = await submit(bob);
    await someoneIsFirst();
    const fourth = await submit(alice);
    expect(await statusOf(bob, third)).toMatchObject(waiting);
    expect(await statusOf(alice, fourth)).toMatchObject(waiting);
    await adapter.cancel(alice, { jobId: first, signal });
    await jobRunning(candidate(bob), third);
    expect(await statusOf(alice, fourth)).toMatchObject(waiting);
    await adapter.cancel(alice, { jobId: second, signal });
    await jobRunning(candidate(alice), fourth);
  });

  it('that need many slots are not overtaken by those that need few', async () => {
    const small = await submit(alice);
    await jobRunning(candidate(alice), small);
    const large = await submit(bob, sleeper, { cpusPerTask: 2 });
    await someoneIsFirst();
    const late = await submit(alice, '#!/bin/sh\n');
    expect(await statusOf(bob, large)).toMatchObject(waiting);
    expect(await statusOf(alice, late)).toMatchObject(waiting);
    await adapter.cancel(alice, { jobId: small, signal });
    expect((await jobRunning(candidate(bob), large)).cpus).toBe(2);
    await adapter.cancel(bob, { jobId: large, signal });
    expect((await jobEnd(candidate(alice), late)).status.state).toBe('COMPLETED');
  });

  it('give their slots back when their supervisor is killed, since a lock dies with its holder', async () => {
    const killed = await submit(alice, sleeper, { exclusive: true });
    await jobRunning(candidate(alice), killed);
    const next = await submit(bob, '#!/bin/sh\n', { exclusive: true });
    expect(await statusOf(bob, next)).toMatchObject(waiting);
    const state = `goldcrest/jobs/${killed}`;
    const program =
      'cd "$XDG_STATE_HOME"; kill -KILL "$(readlink "$1/started" | cut -d. -f1)" "$(cut -d" " -f2 "$1/begun")"';
    await alice.shell.run(['sh', '-c', program, 'sh', state]);
    expect((await jobEnd(candidate(bob), next)).status.state).toBe('COMPLETED');
    expect(await statusOf(alice, killed)).toMatchObject({ state: 'NODE_FAIL', stateReason: 'SupervisorLost' });
  });

  it('leave no slot taken behind, whatever processes they leave', async () => {
    const leaver = await submit(alice, '#!/bin/sh\nsetsid sleep 20 >/dev/null 2>&1 &\nexit 0\n', { exclusive: true });
    await jobEnd(candidate(alice), leaver);
    const next = await submit(bob, '#!/bin/sh\n', { exclusive: true });
    expect((await jobEnd(candidate(bob), next)).status.state).toBe('COMPLETED');
  });

  it('are refused when they ask for more than there is', async () => {
    const error = await failure(submit(alice, sleeper, { cpusPerTask: 3 }));
    expect(error).toMatchObject({ code: 'InvalidJob' });
    expect(error.message).toContain('3 CPUs are more than the 2');
  });

  it('can be canceled while they wait, and never run', async () => {
    const running = await submit(alice, sleeper, { exclusive: true });
    await jobRunning(candidate(alice), running);
    const mark = `${candidate(bob).directory}/canceled-ran`;
    const first = await submit(bob, `#!/bin/sh\ntouch '${mark}'\n`);
    await someoneIsFirst();
    const second = await submit(bob, `#!/bin/sh\ntouch '${mark}'\n`);
    for (const jobId of [second, first]) await adapter.cancel(bob, { jobId, signal });
    for (const jobId of [first, second]) {
      expect((await jobEnd(candidate(bob), jobId)).status).toMatchObject({ state: 'CANCELLED', exitCode: null });
    }
    await adapter.cancel(alice, { jobId: running, signal });
    await jobEnd(candidate(alice), running);
    expect((await bob.shell.run(['test', '-e', mark])).exitCode).toBe(1);
  });

  it('stay where they are while they are held, and let others pass', async () => {
    const running = await submit(alice, sleeper, { exclusive: true });
    await jobRunning(candidate(alice), running);
    const held = await submit(bob, '#!/bin/sh\n');
    await someoneIsFirst();
    await adapter.hold(bob, { jobId: held, signal });
    await adapter.hold(bob, { jobId: held, signal });
    expect(await statusOf(bob, held)).toMatchObject({ state: 'PENDING', stateReason: 'JobHeldUser' });
    const passing = await submit(bob, '#!/bin/sh\n');
    await adapter.cancel(alice, { jobId: running, signal });
    expect((await jobEnd(candidate(bob), passing)).status.state).toBe('COMPLETED');
    expect(await statusOf(bob, held)).toMatchObject({ state: 'PENDING', stateReason: 'JobHeldUser' });
    await adapter.release(bob, { jobId: held, signal });
    expect((await jobEnd(candidate(bob), held)).status.state).toBe('COMPLETED');
  });

  it('take another name, account and limit while they wait, and nothing else, and not any more when they run', async () => {
    const running = await submit(alice, sleeper, { exclusive: true });
    await jobRunning(candidate(alice), running);
    const jobId = await submit(alice, '#!/bin/sh\n', { timeLimitSeconds: 60 });
    const changes = { ...unchanged, name: "new's name", account: 'a', timeLimitSeconds: 30 };
    await adapter.modify(alice, { jobId, changes, signal });
    const [job] = await adapter.get(alice, { jobId, signal });
    expect([job?.name, job?.account, job?.time.limit]).toEqual(["new's name", 'a', 30]);
    const priority = { ...unchanged, priority: 1 };
    expect((await failure(adapter.modify(alice, { jobId, changes: priority, signal }))).code).toBe('NotSupported');
    for (const change of ['hold', 'modify'] as const) {
      expect((await failure(adapter[change](alice, { jobId: running, changes, signal }))).code).toBe('JobNotPending');
    }
    await adapter.cancel(alice, { jobId: running, signal });
    await jobEnd(candidate(alice), jobId);
  });
});

describe('jobs of a host with limits', { timeout: 60_000 }, () => {
  it('end as TIMEOUT with everything they started when their time is up, by their own limit or by the system', async () => {
    adapter = withLimits({ timeLimitSecondsMax: 2 });
    const script = '#!/bin/sh\nsleep 300 &\necho $! >"$0.child"\nwait\n';
    const jobIds = [await submit(alice, script, { timeLimitSeconds: 1 }), await submit(alice, script)];
    for (const [at, jobId] of jobIds.entries()) {
      const job = await jobEnd(candidate(alice), jobId);
      expect([job.status.state, job.status.interruptSignal, job.time.limit]).toEqual(['TIMEOUT', 15, at + 1]);
      const child = `kill -0 "$(cat "$XDG_STATE_HOME/goldcrest/jobs/$1/script.child")"`;
      await vi.waitFor(
        async () => expect((await alice.shell.run(['sh', '-c', child, 'sh', jobId])).exitCode).not.toBe(0),
        { timeout: 30_000 },
      );
    }
    expect((await failure(submit(alice, script, { timeLimitSeconds: 3 }))).code).toBe('InvalidJob');
  });

  it('are refused when too many of the user wait or run, and taken again when one has ended', async () => {
    adapter = withLimits({ openPerUserMax: 2 });
    const carol = await hostOf('gccarol');
    const [first] = [await submit(carol), await submit(carol)];
    const error = await failure(submit(carol));
    expect(error.code).toBe('SubmitLimit');
    expect(error.message).toContain('2 jobs of this user wait or run');
    await adapter.cancel(carol, { jobId: first, signal });
    await jobEnd(candidate(carol), first);
    expect(await submit(carol, '#!/bin/sh\n')).toMatch(/^\d+$/);
  });

  it('are forgotten when they ended long ago, and never while they run', async () => {
    adapter = withLimits({ keepMs: 3_600_000 });
    const running = await submit(bob);
    await jobRunning(candidate(bob), running);
    const old = await submit(bob, '#!/bin/sh\n');
    const young = await submit(bob, '#!/bin/sh\n');
    for (const jobId of [old, young]) await jobEnd(candidate(bob), jobId);
    submitted = submitted.filter(([, jobId]) => jobId !== old);
    // As if hours had passed since, and since the last sweep.
    const age = 'cd "$XDG_STATE_HOME/goldcrest" && touch -d "2 hours ago" swept "jobs/$1" "jobs/$2"';
    await bob.shell.run(['sh', '-c', age, 'sh', running, old]);
    await submit(bob, '#!/bin/sh\n');
    expect((await failure(adapter.get(bob, { jobId: old, signal }))).code).toBe('JobNotFound');
    expect((await statusOf(bob, running)).state).toBe('RUNNING');
    expect((await statusOf(bob, young)).state).toBe('COMPLETED');
  });

  it('that were lost with a reboot are shown as such, once the id of the boot is another one', async () => {
    const jobId = await submit(alice);
    await jobRunning(candidate(alice), jobId);
    const link = `${candidate(alice).directory}/goldcrest/jobs/${jobId}/started`;
    // The host cannot be started again here: the claim is made to be one of another boot.
    const { stdout } = await alice.shell.run(['sh', '-c', 'readlink "$1"', 'sh', link]);
    const claim = stdout.toString().trim();
    const forged = `${claim.slice(0, claim.lastIndexOf('.'))}.${randomUUID()}`;
    const claimAs = (text: string) => alice.shell.run(['sh', '-c', 'ln -sfn "$2" "$1"', 'sh', link, text]);
    await claimAs(forged);
    expect(await statusOf(alice, jobId)).toMatchObject({ state: 'NODE_FAIL', stateReason: 'HostRebooted' });
    await claimAs(claim);
    expect((await statusOf(alice, jobId)).state).toBe('RUNNING');
  });

  it('are looked up in one command, without those that are not there', async () => {
    const jobIds = [await submit(alice, '#!/bin/sh\n'), await submit(alice, '#!/bin/sh\nexit 3\n')];
    for (const jobId of jobIds) await jobEnd(candidate(alice), jobId);
    const found = await adapter.lookUp(alice, {
      jobIds: [...jobIds, '4294967', 'abc'],
      usernames: ['gcalice'],
      signal,
    });
    expect([...found.values()].flat().map((job) => [job.jobId, job.status.exitCode])).toEqual([
      [jobIds[1], 3],
      [jobIds[0], 0],
    ]);
  });
});
