import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import type { SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import {
  type Candidate,
  describeJob,
  describeSchedulerConformance,
  jobEnd,
  jobRunning,
  newKey,
} from './scheduler-conformance.ts';
import { type SchedulerLab, startSchedulerLab } from './scheduler-fixture.ts';

const noSignal = new AbortController().signal;
const adapter = createScheduler({ scheduler: { type: 'slurm', timeoutMs: 15_000 } });

let lab: SchedulerLab;
let host: SchedulerHost;
let candidate: Candidate;

beforeAll(async () => {
  lab = await startSchedulerLab(['sshd', 'slurm']);
  host = lab.host('gcalice');
  candidate = { adapter, host, directory: await lab.directory('gcalice') };
}, 90_000);

afterAll(async () => {
  await lab?.stop();
}, 60_000);

describeSchedulerConformance('slurm-cli', async () => candidate);

describe('the Slurm adapter', { timeout: 60_000 }, () => {
  const submit = (script: string, more: Partial<JobDescription> = {}, key = newKey()): Promise<string> =>
    adapter
      .submit(host, { job: describeJob(candidate.directory, script, more), key, signal: noSignal })
      .then(({ jobId }) => jobId);
  const get = (jobId: string) => adapter.get(host, { jobId, signal: noSignal });
  const cancel = (jobId: string, as = host) => adapter.cancel(as, { jobId, signal: noSignal });
  const refusal = (promise: Promise<unknown>): Promise<BrokerError> =>
    promise.then(
      () => expect.unreachable('should have been refused'),
      (error: BrokerError) => error,
    );
  const sleeper = '#!/bin/sh\nexec sleep 300\n';

  it('keeps a job visible whose name, set by a directive, holds a newline and a delimiter', async () => {
    const jobId = await submit("#!/bin/sh\n#SBATCH --job-name='a|b +@ c'\nexit 0\n");
    expect((await get(jobId))[0]?.name).toBe('a|b +@ c');
    const { stdout } = await host.shell.run(['sbatch', '--parsable', '--job-name=two\nlines', '--hold'], {
      stdin: sleeper,
    });
    const lines = stdout.toString().trim();
    expect((await get(lines))[0]?.name).toBe('two\nlines');
    await cancel(lines);
  });

  it("keeps the user's comment beside the key", async () => {
    const key = newKey();
    const jobId = await submit(`#!/bin/sh\n#SBATCH --comment="my project, 'x'" --hold\nexit 0\n`, {}, key);
    const { stdout } = await host.shell.run(['squeue', '-h', '-j', jobId, '-o', '%k']);
    expect(stdout.toString().trim()).toBe(`my project, 'x' ${key}`);
    await cancel(jobId);
  });

  it('shows a pending job with no start, no nodes and its limit in seconds', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --hold --time=10\nexit 0\n');
    expect((await get(jobId))[0]).toMatchObject({
      status: { state: 'PENDING', stateReason: 'JobHeldUser', exitCode: null },
      time: { elapsed: 0, start: null, end: null, limit: 600 },
      nodes: 'None assigned',
      allocationNodes: 0,
      account: 'proj01',
    });
    await cancel(jobId);
  });

  it('shows an ended job with its steps, its killer and its limits', async () => {
    const jobId = await submit(sleeper);
    await jobRunning(candidate, jobId);
    await cancel(jobId);
    await jobEnd(candidate, jobId);
    const job = await vi.waitFor(
      async () => {
        const [job] = await get(jobId);
        expect(job?.tasks).toHaveLength(1);
        return job;
      },
      { timeout: 20_000, interval: 500 },
    );
    expect(job).toMatchObject({ status: { state: 'CANCELLED' }, killRequestUser: 'gcalice', allocationNodes: 1 });
    expect(job?.tasks?.[0]).toMatchObject({ id: `${jobId}.batch`, name: 'batch', time: { limit: null } });
  });

  it('answers arrays as a whole, by element and by range, and cancels one element alone', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --array=1-4%1 --hold\nexec sleep 300\n');
    expect((await get(jobId)).map((job) => job.jobId)).toEqual([`${jobId}_[1-4%1]`]);
    expect((await get(`${jobId}_2`)).map((job) => job.status.state)).toEqual(['PENDING']);
    await cancel(`${jobId}_2`);
    // Slurm 22.05.8 forgets an element that is canceled before its start.
    expect((await get(jobId)).map((job) => job.jobId)).toEqual([`${jobId}_[1,3-4%1]`]);
    const others = await get(`${jobId}_[3-4]`);
    expect(others.every((job) => job.status.state === 'PENDING')).toBe(true);
    await cancel(jobId);
    expect((await get(jobId)).every((job) => job.status.state === 'CANCELLED')).toBe(true);
    expect((await refusal(get(`${jobId}_9`))).code).toBe('JobNotFound');
  });

  it('finds an array and a heterogeneous job by key under one id each', async () => {
    const [array, het] = [newKey(), newKey()];
    const arrayId = await submit('#!/bin/sh\n#SBATCH --array=1-3 --hold\nexit 0\n', {}, array);
    const hetId = await submit('#!/bin/sh\n#SBATCH -n1 --hold\n#SBATCH hetjob\n#SBATCH -n1\nexit 0\n', {}, het);
    const find = (key: string) => adapter.findByKey(host, { key, submittedAfter: Date.now(), signal: noSignal });
    expect(await find(array)).toEqual({ jobIds: [arrayId], isCertain: true });
    expect(await find(het)).toEqual({ jobIds: [hetId], isCertain: true });
    expect((await get(hetId)).map((job) => job.jobId)).toEqual([`${hetId}+0`, `${hetId}+1`]);
    expect((await get(`${hetId}+1`)).map((job) => job.jobId)).toEqual([`${hetId}+1`]);
    await cancel(arrayId);
    await cancel(hetId);
  });

  it.each<[string, Partial<JobDescription>, string, string]>([
    ['partition', { partition: 'nope' }, 'InvalidJob', 'Invalid partition name specified'],
    ['account', { account: 'nope' }, 'InvalidJob', 'Invalid account or account/partition combination specified'],
    ['reservation', { reservation: 'nope' }, 'InvalidJob', 'Requested reservation is invalid'],
    ['constraint', { constraints: 'nope' }, 'InvalidJob', 'Invalid feature specification'],
  ])("refuses an unknown %s in the scheduler's words", async (_what, more, code, words) => {
    const error = await refusal(submit(sleeper, more));
    expect(error.code).toBe(code);
    expect(error.message).toContain('Unexpected Slurm command response. exit_status:1 std_err:sbatch: error: ');
    expect(error.message).toContain(words);
  });

  it.each([
    ['time limit', '--time=99-0', 'InvalidJob'],
    ['node count', '--nodes=99', 'InvalidJob'],
    ['option', '--no-such-option', 'InvalidJob'],
    ['time', '--time=soon', 'InvalidJob'],
  ])('refuses a directive with an impossible %s', async (_what, directive, code) => {
    expect((await refusal(submit(`#!/bin/sh\n#SBATCH ${directive}\nexit 0\n`))).code).toBe(code);
  });

  it('answers SubmitLimit where an accounting limit is reached', async () => {
    await lab.lab.slurm.admin('sacctmgr', ['-i', 'modify', 'user', 'gcbob', 'set', 'MaxSubmitJobs=0']);
    const directory = await lab.directory('gcbob');
    const job = describeJob(directory, sleeper);
    const error = await refusal(adapter.submit(lab.host('gcbob'), { job, key: newKey(), signal: noSignal }));
    await lab.lab.slurm.admin('sacctmgr', ['-i', 'modify', 'user', 'gcbob', 'set', 'MaxSubmitJobs=-1']);
    expect(error.code).toBe('SubmitLimit');
  });

  it('refuses a user without an association, with the text of the scheduler', async () => {
    const carol = lab.host('gccarol');
    const job = describeJob(await lab.directory('gccarol'), sleeper);
    const error = await refusal(adapter.submit(carol, { job, key: newKey(), signal: noSignal }));
    expect(error.code).toBe('InvalidJob');
    expect(error.message).toContain('Invalid account');
  });

  it("does not cancel another user's job", async () => {
    const jobId = await submit(sleeper);
    expect((await refusal(cancel(jobId, lab.host('gcbob')))).code).toBe('PermissionDenied');
    expect(['PENDING', 'RUNNING']).toContain((await get(jobId))[0]?.status.state);
    await cancel(jobId);
  });

  it('says SchedulerFailed, never "not found", while the controller does not answer', async () => {
    const jobId = await submit('#!/bin/sh\nexit 0\n');
    lab.lab.slurm.controller.pause();
    const [shown, canceled, pinged, found] = await Promise.all([
      refusal(get(jobId)),
      refusal(cancel(jobId)),
      refusal(adapter.ping(host, noSignal)),
      adapter.findByKey(host, { key: newKey(), submittedAfter: Date.now(), signal: noSignal }),
    ]).finally(() => lab.lab.slurm.controller.resume());
    expect([shown.code, canceled.code, pinged.code]).toEqual(['SchedulerFailed', 'SchedulerFailed', 'SchedulerFailed']);
    expect(found).toEqual({ jobIds: [], isCertain: false });
    await jobEnd(candidate, jobId);
  });

  it('is not certain that there is no job while the accounting does not answer, and still shows queued jobs', async () => {
    const key = newKey();
    const jobId = await submit('#!/bin/sh\nexit 0\n', {}, key);
    await jobEnd(candidate, jobId);
    await lab.lab.slurm.accounting.stop();
    try {
      const find = (wanted: string) =>
        adapter.findByKey(host, { key: wanted, submittedAfter: Date.now(), signal: noSignal });
      expect(await find(key)).toEqual({ jobIds: [jobId], isCertain: false });
      expect((await get(jobId))[0]?.status.state).toBe('COMPLETED');
      expect((await refusal(get('4294967'))).code).toBe('SchedulerFailed');
    } finally {
      await lab.lab.slurm.accounting.start();
    }
  });
});
