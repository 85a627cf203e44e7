import { afterAll, describe, expect, it, vi } from 'vitest';
import type { Word } from '../../shared/commands/command-line.ts';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import type { JobChanges, ListRequest } from '../../workers/schedulers/scheduler.ts';
import type { RemoteShell } from '../../workers/ssh/remote-shell.ts';
import { describeJob, failure, jobEnd, jobRunning, newKey, noSignal } from './scheduler-candidate.ts';
import { describeSchedulerConformance } from './scheduler-conformance.ts';
import { startSlurmCli } from './slurm-cli-fixture.ts';

const { adapter, attach, cancel, candidate, get, host, lab, list, metadata, submit } = await startSlurmCli();
afterAll(() => lab.stop(), 60_000);

const sleeper = '#!/bin/sh\nexec sleep 300\n';

describeSchedulerConformance('slurm-cli', async () => candidate);

describe('the Slurm adapter', { timeout: 60_000 }, () => {
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
    // Long after the job, an admin finds it in the accounting.
    const accounted = ['sacct', '-n', '-X', '-P', '-j', jobId, '-o', 'Comment%200'];
    const told = async () => (await host.shell.run(accounted)).stdout.toString().trim();
    await vi.waitFor(async () => expect(await told()).toBe(`my project, 'x' ${key}`), {
      timeout: 30_000,
      interval: 100,
    });
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

  it('asks for what the job describes, over the directives of the script', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --hold --time=1 --ntasks=1 --comment=directive\nexit 0\n', {
      ...{
        nodes: 2,
        tasks: 4,
        tasksPerNode: 2,
        cpusPerTask: 2,
        timeLimitSeconds: 90,
        exclusive: true,
        comment: 'mine',
      },
      ...{ memoryPerNodeBytes: 100 * 1024 * 1024 + 1, qos: 'normal', array: '1,3-5%2', constraints: 'cpu' },
      ...{ mailType: ['end', 'fail'], mailUser: 'a@b.example', beginAt: 1_900_000_000, dependency: 'afterany:4294000' },
    });
    const { stdout } = await host.shell.run(['scontrol', 'show', 'job', jobId], { env: { SLURM_TIME_FORMAT: '%s' } });
    const shown = stdout.toString();
    for (const fact of [
      ...['NumNodes=2-2', 'NumTasks=4', 'NtasksPerN:B:S:C=2:0:*:*', 'CPUs/Task=2', 'TimeLimit=00:02:00', 'QOS=normal'],
      ...['OverSubscribe=NO', 'MinMemoryNode=101M', 'ArrayTaskId=1,3-5', 'ArrayTaskThrottle=2', 'Features=cpu'],
      ...['MailUser=a@b.example MailType=END,FAIL', 'StartTime=1900000000', 'Comment=mine goldcrest:'],
    ]) {
      expect(shown).toContain(fact);
    }
    await cancel(jobId);
  });

  it('refuses GPUs where there are none, and does not call it a doubt', async () => {
    for (const resources of [{ gpus: 1 }, { gpusPerNode: 1 }, { gpusPerTask: 1 }]) {
      expect((await failure(submit(sleeper, resources))).code).toBe('InvalidJob');
    }
    expect((await failure(submit(sleeper, { licenses: 'none-such:1' }))).code).toBe('InvalidJob');
  });

  const noChanges: JobChanges = {
    ...{ name: null, account: null, partition: null, qos: null, timeLimitSeconds: null, beginAt: null, priority: null },
  };
  const modify = (jobId: string, changes: Partial<JobChanges>, as = host) =>
    adapter.modify(as, { jobId, changes: { ...noChanges, ...changes }, signal: noSignal });

  it('changes account, quality of service and partition, and tells a failure from a failure', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    const change = (changes: Partial<JobChanges>, as = host) => modify(jobId, changes, as);
    await change({ account: 'proj02', partition: 'normal', qos: 'normal' });
    expect((await get(jobId))[0]).toMatchObject({ account: 'proj02', partition: 'normal' });
    expect((await failure(change({ account: 'nope' }))).message).toContain('Invalid account');
    expect((await failure(change({ name: 'x' }, lab.host('gcbob')))).code).toBe('PermissionDenied');
    await cancel(jobId);
  });

  it('holds what waits of an array of which some elements run or have ended', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --array=1-3%1\n[ "$SLURM_ARRAY_TASK_ID" = 1 ] || exec sleep 300\n');
    await vi.waitFor(
      async () =>
        expect((await get(jobId)).map((job) => job.status.state)).toEqual(['COMPLETED', 'RUNNING', 'PENDING']),
      { timeout: 30_000, interval: 250 },
    );
    await adapter.hold(host, { jobId, signal: noSignal });
    const states = async () => (await get(jobId)).map(({ status }) => status.stateReason);
    expect((await states())[2]).toBe('JobHeldUser');
    await adapter.release(host, { jobId, signal: noSignal });
    expect((await states())[2]).not.toBe('JobHeldUser');
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
      { timeout: 30_000, interval: 500 },
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
    expect((await failure(get(`${jobId}_9`))).code).toBe('JobNotFound');
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
    const error = await failure(submit(sleeper, more));
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
    expect((await failure(submit(`#!/bin/sh\n#SBATCH ${directive}\nexit 0\n`))).code).toBe(code);
  });

  it('answers SubmitLimit where an accounting limit is reached', async () => {
    await lab.lab.slurm.admin('sacctmgr', ['-i', 'modify', 'user', 'gcbob', 'set', 'MaxSubmitJobs=0']);
    const directory = await lab.directory('gcbob');
    const job = describeJob(directory, sleeper);
    const error = await failure(adapter.submit(lab.host('gcbob'), { job, key: newKey(), signal: noSignal }));
    await lab.lab.slurm.admin('sacctmgr', ['-i', 'modify', 'user', 'gcbob', 'set', 'MaxSubmitJobs=-1']);
    expect(error.code).toBe('SubmitLimit');
  });

  it('refuses a user without an association, with the text of the scheduler', async () => {
    const carol = lab.host('gccarol');
    const job = describeJob(await lab.directory('gccarol'), sleeper);
    const error = await failure(adapter.submit(carol, { job, key: newKey(), signal: noSignal }));
    expect(error.code).toBe('InvalidJob');
    expect(error.message).toContain('Invalid account');
  });

  it("does not cancel another user's job", async () => {
    const jobId = await submit(sleeper);
    expect((await failure(cancel(jobId, lab.host('gcbob')))).code).toBe('PermissionDenied');
    expect(['PENDING', 'RUNNING']).toContain((await get(jobId))[0]?.status.state);
    await cancel(jobId);
  });

  it('says SchedulerFailed, never "not found" or an empty list, while the controller does not answer', async () => {
    const held = await submit('#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    const jobId = await submit('#!/bin/sh\nexit 0\n');
    lab.lab.slurm.controller.pause();
    // All at once: each of them waits for its whole time.
    const [found, ...failures] = await Promise.all([
      adapter.findByKey(host, { key: newKey(), submittedAfter: Date.now(), signal: noSignal }),
      failure(get(jobId)),
      failure(cancel(jobId)),
      failure(modify(held, { name: 'x' })),
      failure(adapter.ping(host, noSignal)),
      failure(list()),
      failure(metadata('1')),
      failure(attach('1', 'true')),
      failure(adapter.nodes(host, noSignal)),
      failure(adapter.partitions(host, { showsHidden: true, signal: noSignal })),
      failure(adapter.reservations(host, noSignal)),
    ]).finally(() => lab.lab.slurm.controller.resume());
    expect(found).toEqual({ jobIds: [], isCertain: false });
    expect(failures.map(({ code }) => code)).toEqual(Array.from({ length: 10 }, () => 'SchedulerFailed'));
    await jobEnd(candidate, jobId);
    await cancel(held);
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
      expect((await failure(get('4294967'))).code).toBe('SchedulerFailed');
      const listed = await list();
      expect(listed.isComplete).toBe(false);
      expect(listed.jobs.map((job) => job.jobId)).toContain(jobId);
      expect((await metadata(jobId))[0]?.standardOutput).toBe(`${candidate.directory}/slurm-${jobId}.out`);
      expect((await failure(adapter.accounts(host, noSignal))).code).toBe('SchedulerFailed');
    } finally {
      await lab.lab.slurm.accounting.start();
    }
  });

  it('lists jobs that are held, that depend on others and that wait as an array', async () => {
    const held = await submit('#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    const dependent = await submit(`#!/bin/sh\n#SBATCH --dependency=afterok:${held}\nexit 0\n`);
    const array = await submit('#!/bin/sh\n#SBATCH --array=1-3 --hold\nexit 0\n');
    const { jobs } = await list();
    const shown = jobs.filter((job) => [held, dependent, `${array}_[1-3]`].includes(job.jobId));
    expect(shown.map((job) => [job.jobId, job.status.state, job.status.stateReason])).toEqual([
      [`${array}_[1-3]`, 'PENDING', 'JobHeldUser'],
      [dependent, 'PENDING', 'Dependency'],
      [held, 'PENDING', 'JobHeldUser'],
    ]);
    for (const jobId of [array, dependent, held]) await cancel(jobId);
  });

  it("lists other users' jobs only when asked to, and only of the account that was named", async () => {
    const bob = lab.host('gcbob');
    const job = describeJob(await lab.directory('gcbob'), '#!/bin/sh\n#SBATCH --hold\nexit 0\n', { name: 'of bob' });
    const { jobId } = await adapter.submit(bob, { job, key: newKey(), signal: noSignal });
    const ids = async (more: Partial<ListRequest>) => (await list(more)).jobs.map((each) => each.jobId);
    expect(await ids({})).not.toContain(jobId);
    expect(await ids({ isAllUsers: true })).toContain(jobId);
    expect(await ids({ isAllUsers: true, account: 'proj02' })).toContain(jobId);
    expect(await ids({ isAllUsers: true, account: 'proj01' })).not.toContain(jobId);
    await cancel(jobId, bob);
  });

  it('shows the files of each element of an array where Slurm writes them, and its one script', async () => {
    const script = '#!/bin/sh\n#SBATCH --array=1-2 --error=e-%A_%3a-%x.txt\necho out; echo err >&2\n';
    const jobId = await submit(script, { name: 'a b' });
    await vi.waitFor(
      async () => expect((await get(jobId)).map((job) => job.status.state)).toEqual(['COMPLETED', 'COMPLETED']),
      { timeout: 30_000, interval: 250 },
    );
    const parts = await metadata(jobId);
    expect(parts.map((part) => [part.jobId, part.script])).toEqual([
      [`${jobId}_1`, script],
      [`${jobId}_2`, script],
    ]);
    for (const { standardOutput, standardError } of parts) {
      expect((await host.files.readFile(standardOutput ?? '', { bytesMax: 100 })).toString()).toBe('out\n');
      expect((await host.files.readFile(standardError ?? '', { bytesMax: 100 })).toString()).toBe('err\n');
    }
    expect((await metadata(`${jobId}_2`)).map((part) => part.jobId)).toEqual([`${jobId}_2`]);
  });

  it("shows another user's job without its script, and an allocation without files", async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    const asBob = await adapter.metadata(lab.host('gcbob'), { jobId, signal: noSignal });
    expect(asBob).toMatchObject([{ jobId, script: null, standardOutput: `${candidate.directory}/slurm-${jobId}.out` }]);
    await cancel(jobId);
    const { stderr } = await host.shell.run(['salloc', '--no-shell', '-n1']);
    const allocation = /allocation (\d+)/.exec(stderr.toString())?.[1] ?? '';
    const none = { script: null, standardInput: null, standardOutput: null, standardError: null };
    expect(await metadata(allocation)).toEqual([{ jobId: allocation, ...none }]);
    await cancel(allocation);
  });

  it('keeps the script of a job that the controller has forgotten', async () => {
    const script = '#!/bin/sh\necho kept\n';
    const jobId = await submit(script);
    await jobEnd(candidate, jobId);
    await vi.waitFor(
      async () => {
        const { stdout } = await host.shell.run(['sacct', '-j', jobId, '--batch-script']);
        expect(stdout.toString()).toContain('echo kept');
      },
      { timeout: 30_000, interval: 500 },
    );
    // The controller is asked about a job that it never had: the real answer, without waiting for MinJobAge to pass.
    const unknown = (word: Word): Word => (typeof word === 'string' ? word.replace(jobId, '4294967') : word);
    const forgetful: RemoteShell = {
      run: (argv, options) => host.shell.run(argv[0] === 'sacct' ? argv : argv.map(unknown), options),
    };
    expect(await adapter.metadata({ ...host, shell: forgetful }, { jobId, signal: noSignal })).toEqual([
      { jobId, script, standardInput: null, standardOutput: null, standardError: null },
    ]);
  });

  it('shows nodes with their real sizes, partitions with hidden ones on demand, and reservations by epoch', async () => {
    const { admin } = lab.lab.slurm;
    const nodes = await adapter.nodes(host, noSignal);
    expect(nodes.map(({ name, partitions }) => [name, partitions])).toEqual([
      ['g1', ['gpu']],
      ['n1', ['debug', 'normal']],
      ['n2', ['debug', 'normal']],
      ['n3', ['normal']],
    ]);
    expect(nodes[0]).toMatchObject({ sockets: 8, cores: 1, threads: 1, cpus: 8, features: 'gpu', weight: 1 });
    const partitions = async (showsHidden: boolean) =>
      (await adapter.partitions(host, { showsHidden, signal: noSignal })).map(({ name }) => name);
    await admin('scontrol', ['update', 'PartitionName=gpu', 'Hidden=YES']);
    await admin('scontrol', ['update', 'NodeName=n3', 'State=DRAIN', 'Reason=test']);
    await admin('scontrol', [
      ...['create', 'reservation', 'ReservationName=two words', 'StartTime=now+1hour', 'Duration=30'],
      ...['Users=gcalice', 'Nodes=n3'],
    ]);
    try {
      expect([await partitions(false), await partitions(true)]).toEqual([
        ['debug', 'normal'],
        ['debug', 'normal', 'gpu'],
      ]);
      expect((await adapter.nodes(host, noSignal)).find(({ name }) => name === 'n3')?.state).toEqual(['DRAIN']);
      const [reservation] = await adapter.reservations(host, noSignal);
      expect(reservation).toMatchObject({ name: 'two words', nodeList: 'n3', features: null, state: 'inactive' });
      expect((reservation?.endTime ?? 0) - (reservation?.startTime ?? 0)).toBe(1_800);
      expect(Math.abs((reservation?.startTime ?? 0) - Date.now() / 1_000 - 3_600)).toBeLessThan(60);
    } finally {
      await admin('scontrol', ['update', 'PartitionName=gpu', 'Hidden=NO']);
      await admin('scontrol', ['update', 'NodeName=n3', 'State=RESUME']);
      await admin('scontrol', ['delete', 'ReservationName=two words']);
    }
    expect(await adapter.reservations(host, noSignal)).toEqual([]);
  });

  it('shows the accounts of a user by their whole names, and none where there are none', async () => {
    const { admin } = lab.lab.slurm;
    const long = 'an_account_of_more_than_ten_characters';
    await admin('sacctmgr', ['-i', 'add', 'account', long]);
    await admin('sacctmgr', ['-i', 'add', 'user', 'gcbob', `account=${long}`]);
    expect(await adapter.accounts(lab.host('gcbob'), noSignal)).toEqual(
      expect.arrayContaining([
        { name: long, default: false },
        { name: 'proj02', default: true },
      ]),
    );
    expect(await adapter.accounts(lab.host('gccarol'), noSignal)).toEqual([]);
  });
});
