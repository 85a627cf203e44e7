import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import { handleSubmitJob } from '../../workers/operations/compute/submit-job.ts';
import type { OperationContext } from '../../workers/operations/operation-context.ts';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import { jobKey } from '../../workers/schedulers/job-key.ts';
import type { SchedulerAdapter, SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import { killUserProcesses } from '../user-processes.ts';
import { hasUnreadRequest } from './handed-over.ts';
import { describeJob, failure, jobEnd } from './scheduler-candidate.ts';
import { type SchedulerLab, startSchedulerLab } from './scheduler-fixture.ts';
import { silent } from './ssh-fixture.ts';

const noSignal = new AbortController().signal;
/** Shorter than the 10 s after which sbatch itself gives up. */
const timeoutMs = 3_000;
const scheduler = createScheduler({ scheduler: { type: 'slurm', timeoutMs } });

let lab: SchedulerLab;
let host: SchedulerHost;
let directory: string;

beforeAll(async () => {
  lab = await startSchedulerLab(['sshd', 'slurm']);
  host = lab.host('gcalice');
  directory = await lab.directory('gcalice');
}, 90_000);

afterAll(async () => {
  await lab?.stop();
}, 60_000);

/** One task whose attempts share a journal, as the runtime gives it to the handler. */
function createTask(more: { deadlineAt?: number; adapter?: SchedulerAdapter } = {}) {
  const id = randomUUID();
  let entry: Record<string, unknown> | null = null;
  let attempt = 0;
  const state = { isCancelRequested: false, writes: 0 };
  const run = (job: JobDescription, signal: AbortSignal = noSignal) => {
    attempt += 1;
    const context = {
      task: { id, attempt, createdAt: Date.now(), deadlineAt: more.deadlineAt ?? Date.now() + 600_000, ...state },
      system: { name: 'lab', scheduler: { type: 'slurm', timeoutMs } } as SystemConfig,
      signal,
      log: silent,
      scheduler: more.adapter ?? scheduler,
      host,
      journal: {
        entry,
        async write(next: Record<string, unknown>) {
          state.writes += 1;
          entry = structuredClone(next);
        },
      },
    } as unknown as OperationContext;
    return handleSubmitJob({ job, watch: false }, context);
  };
  return { key: jobKey(id), state, run, phase: () => entry?.phase };
}

/** What the runtime does with doubt: wait as it is told, and run the next attempt. */
async function settle(task: ReturnType<typeof createTask>, job: JobDescription): Promise<{ jobId: string }> {
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const outcome = await task.run(job).catch((error: BrokerError) => error);
    if (!(outcome instanceof Error)) return outcome;
    if (outcome.code !== 'SubmissionInDoubt') throw outcome;
    await new Promise((resolve) => setTimeout(resolve, (outcome.retryAfterSeconds ?? 0) * 1_000));
  }
  return expect.unreachable('the doubt was never resolved');
}

async function jobsWith(key: string): Promise<string[]> {
  const { stdout } = await host.shell.run(['squeue', '-h', '-t', 'all', '-u', 'gcalice', '-o', '%i %k']);
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line.includes(key))
    .map((line) => line.split(' ')[0] ?? '');
}

describe('a submission', { timeout: 120_000 }, () => {
  const quick = () => describeJob(directory, '#!/bin/sh\nexit 0\n');
  /** Resolves when the paused controller has a submission before it: it will take it, whatever becomes of sbatch. */
  const handedOver = () =>
    vi.waitFor(
      () => expect(hasUnreadRequest(lab.lab.slurm.confPath, userNamed(lab.lab.users, 'alice').uid)).toBe(true),
      { timeout: 30_000, interval: 10 },
    );

  it('costs one journal write and one command when nothing goes wrong', async () => {
    const task = createTask();
    const { jobId } = await task.run(quick());
    expect(task.state.writes).toBe(1);
    expect(await jobsWith(task.key)).toEqual([jobId]);
  });

  it('is one job when the controller stops answering while it is made, and the job is adopted', async () => {
    const task = createTask();
    lab.lab.slurm.controller.pause();
    const doubt = await failure(task.run(quick()));
    expect(doubt.code).toBe('SubmissionInDoubt');
    // The queue cannot be asked: still in doubt, and nothing is submitted again.
    expect((await failure(task.run(quick()))).code).toBe('SubmissionInDoubt');
    lab.lab.slurm.controller.resume();
    const { jobId } = await settle(task, quick());
    expect(await jobsWith(task.key)).toEqual([jobId]);
    await jobEnd({ adapter: scheduler, host, directory }, jobId);
    expect(await jobsWith(task.key)).toEqual([jobId]);
  });

  it('is one job when sbatch is killed before it could tell the id', async () => {
    const task = createTask();
    lab.lab.slurm.controller.pause();
    const submission = failure(task.run(quick()));
    await handedOver();
    expect(killUserProcesses(lab.lab, userNamed(lab.lab.users, 'alice'), ({ program }) => program === 'sbatch')).toBe(
      1,
    );
    expect((await submission).code).toBe('SubmissionInDoubt');
    lab.lab.slurm.controller.resume();
    const { jobId } = await settle(task, quick());
    expect(await jobsWith(task.key)).toEqual([jobId]);
  });

  it('is made again, once, when it is proven that the scheduler never got it', async () => {
    let calls = 0;
    const adapter: SchedulerAdapter = {
      ...scheduler,
      // A connection that breaks before sbatch reaches the controller; no real part does that on demand.
      async submit(at, request) {
        calls += 1;
        if (calls > 1) return scheduler.submit(at, request);
        throw new BrokerError('SubmissionInDoubt');
      },
    };
    const task = createTask({ adapter });
    const startedAt = Date.now();
    const { jobId } = await settle(task, quick());
    expect(Date.now() - startedAt).toBeGreaterThan(timeoutMs + 5_000);
    expect(calls).toBe(2);
    expect(await jobsWith(task.key)).toEqual([jobId]);
  });

  it('adopts the lowest of several jobs and cancels the others', async () => {
    const task = createTask();
    const sleeper = describeJob(directory, '#!/bin/sh\nexec sleep 300\n');
    lab.lab.slurm.controller.pause();
    await failure(task.run(sleeper));
    lab.lab.slurm.controller.resume();
    await vi.waitFor(async () => expect(await jobsWith(task.key)).toHaveLength(1), { timeout: 30_000 });
    await scheduler.submit(host, { job: sleeper, key: task.key, signal: noSignal });
    const { jobId } = await settle(task, sleeper);
    const jobIds = (await jobsWith(task.key)).sort((a, b) => Number(a) - Number(b));
    expect(jobIds).toHaveLength(2);
    expect(jobId).toBe(jobIds[0]);
    const areCanceled = async () => {
      const jobs = await Promise.all(jobIds.map((id) => scheduler.get(host, { jobId: id, signal: noSignal })));
      return jobs.map(([job]) => job?.status.state === 'CANCELLED');
    };
    // A job that runs is completing for a moment first.
    await vi.waitFor(async () => expect(await areCanceled()).toEqual([false, true]), { timeout: 30_000 });
    await scheduler.cancel(host, { jobId, signal: noSignal });
  });

  it('that is refused leaves no doubt behind, and a later attempt submits at once', async () => {
    const task = createTask();
    expect((await failure(task.run({ ...quick(), partition: 'nope' }))).code).toBe('InvalidJob');
    expect(task.phase()).toBe('refused');
    const { jobId } = await task.run(quick());
    expect(await jobsWith(task.key)).toEqual([jobId]);
  });

  /** A task that was canceled while the scheduler had its submission before it. */
  async function canceledMidway(job: JobDescription) {
    const task = createTask();
    const abort = new AbortController();
    lab.lab.slurm.controller.pause();
    const submission = failure(task.run(job, abort.signal));
    await handedOver();
    abort.abort(new BrokerError('TaskCanceled'));
    expect((await submission).code).toBe('SubmissionInDoubt');
    lab.lab.slurm.controller.resume();
    task.state.isCancelRequested = true;
    return task;
  }
  const ended = (jobId: string) => jobEnd({ adapter: scheduler, host, directory }, jobId);
  /** The task's one job is named in what was thrown, and is canceled. */
  async function expectCanceled(key: string, { code, message }: BrokerError): Promise<void> {
    const [jobId = '', ...more] = await jobsWith(key);
    expect([code, more]).toEqual(['TaskCanceled', []]);
    expect(message).toContain(`job ${jobId},`);
    await ended(jobId);
    const jobs = await scheduler.get(host, { jobId, signal: noSignal });
    expect(jobs.map(({ status }) => status.state)).toEqual(['CANCELLED']);
  }

  it('that is canceled while it is made stays in doubt until the job is known, which is then canceled by its id', async () => {
    const sleeper = describeJob(directory, '#!/bin/sh\nexec sleep 300\n');
    const task = await canceledMidway(sleeper);
    await expectCanceled(task.key, await failure(settle(task, sleeper)));
  });

  it('that is canceled in the moment in which its job is made is canceled with it', async () => {
    const abort = new AbortController();
    const adapter: SchedulerAdapter = {
      ...scheduler,
      async submit(...request) {
        const made = await scheduler.submit(...request);
        abort.abort(new BrokerError('TaskCanceled'));
        return made;
      },
    };
    const task = createTask({ adapter });
    const sleeper = describeJob(directory, '#!/bin/sh\nexec sleep 300\n');
    await expectCanceled(task.key, await failure(task.run(sleeper, abort.signal)));
  });

  it('that is canceled while it is made is told as it is where its job has ended before it could be canceled', async () => {
    const task = await canceledMidway(quick());
    const jobId = await vi.waitFor(async () => (await jobsWith(task.key))[0] ?? expect.unreachable('no job yet'), {
      ...{ timeout: 30_000, interval: 200 },
    });
    await ended(jobId);
    expect(await settle(task, quick())).toEqual({ jobId });
  });

  it('that nobody wants any more is not made', async () => {
    const canceled = createTask();
    canceled.state.isCancelRequested = true;
    expect((await failure(canceled.run(quick()))).code).toBe('TaskCanceled');
    const late = createTask({ deadlineAt: Date.now() - 1 });
    expect((await failure(late.run(quick()))).code).toBe('DeadlineExceeded');
    expect([...(await jobsWith(canceled.key)), ...(await jobsWith(late.key))]).toEqual([]);
  });
});
