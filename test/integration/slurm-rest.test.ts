import { afterAll, describe, expect, it, vi } from 'vitest';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import type { JobChanges, ListRequest, SchedulerAdapter } from '../../workers/schedulers/scheduler.ts';
import { failure, fullTraits, jobEnd, jobRunning, newKey, noSignal, type Traits } from './scheduler-candidate.ts';
import { describeSchedulerConformance } from './scheduler-conformance.ts';
import { startSlurmRest } from './slurm-rest-fixture.ts';
import { itWatchesJobs } from './watched-jobs.ts';

const { adapterOf, cancel, candidate, commands, directory, find, get, host, lab, list, rest, submit, submitBy } =
  await startSlurmRest();
afterAll(() => lab.stop(), 60_000);

const noChanges: JobChanges = {
  ...{ name: null, account: null, partition: null, qos: null, timeLimitSeconds: null, beginAt: null, priority: null },
};
const sleeper = '#!/bin/sh\nexec sleep 300\n';
const hybrid = adapterOf('hybrid');

const traits: Traits = { ...fullTraits, lacks: ['rename', 'estimate', 'metadata'] };

describeSchedulerConformance('slurm-rest', async () => candidate(rest), traits);
describeSchedulerConformance('slurm-hybrid', async () => candidate(hybrid));

describe('Slurm by REST', { timeout: 60_000 }, () => {
  // REST does not tell where a job writes.
  itWatchesJobs(
    () => lab,
    () => candidate(rest),
    { errorOutput: { lines: [], note: expect.stringMatching(/hybrid/) }, advice: expect.stringMatching(/exit code 3/) },
  );

  it('looks up many jobs by one request, and tells their usage as sacct does', async () => {
    const array = await submit('#!/bin/sh\n#SBATCH --hold --array=1-20 --mem=100M\nexit 0\n');
    const ended = await submit('#!/bin/sh\n#SBATCH --mem=100M\nexit 3\n');
    await jobEnd(candidate(rest), ended);
    const jobIds = [...Array.from({ length: 20 }, (_, at) => `${array}_${at + 1}`), '4294967', 'abc'];
    let requests = 0;
    const asked = () => {
      requests += 1;
    };
    const found = await rest.lookUp({ ...host, asked }, { jobIds, usernames: ['gcalice'], signal: noSignal });
    expect([...found.keys()].filter((jobId) => jobId.startsWith(`${array}_`))).toHaveLength(20);
    expect([found.get(`${array}_7`)?.[0]?.status.state, found.has('4294967')]).toEqual(['PENDING', false]);
    expect(requests).toBe(2); // everybody's jobs, and the accounting for the one that is not among them
    const many = [ended, ...Array.from({ length: 10 }, (_, at) => String(4_294_900 + at))];
    for (const wanted of [[ended], many]) {
      const usageBy = (adapter: SchedulerAdapter) => adapter.usage(host, { jobIds: wanted, signal: noSignal });
      await vi.waitFor(async () => expect((await usageBy(commands))?.get(ended)).toMatchObject({ isFinal: true }), {
        timeout: 30_000,
        interval: 250,
      });
      expect(await usageBy(rest)).toEqual(await usageBy(commands));
    }
    await cancel(array);
  });

  /** What `scontrol show job` says of a job, without what differs between two jobs of one kind. */
  const shown = async (jobId: string): Promise<string[]> => {
    const text = await lab.lab.slurm.admin('scontrol', ['show', 'job', '-o', jobId]);
    const differing = /^(?:Submit|Eligible|Accrue|LastSched|Start|End|Priority|Deadline|Command|Comment|AllocNode)/;
    const fields = text
      .trim()
      .replace(new RegExp(`(JobId=|slurm-|t-)${jobId}(?!\\d)`, 'g'), '$1ID')
      .split(' ');
    return fields.filter((field) => !differing.test(field));
  };

  it.each([
    '--account=proj02 -p normal --qos=normal',
    '--array=1-4:2%1',
    '--begin=now+1hour --deadline=now+2days',
    '-C cpu --prefer=cpu',
    '-n4 --ntasks-per-node=2 -c 2 -N2-3',
    '-N 2 -w n1,n2',
    '--nodes=1 -x n[1]',
    '--mem=1G',
    '--mem-per-cpu=100',
    '--time=0-12:30 -p normal',
    '--time=10:30 --time-min=5',
    '--exclusive',
    '--exclusive=user',
    '-s',
    '--nice',
    '--nice=77',
    '--requeue',
    '--no-requeue',
    '--signal=USR1@60',
    '--open-mode=append',
    '--mail-type=END,FAIL --mail-user=somebody',
    '--sockets-per-node=1 --cores-per-socket=1 --threads-per-core=1',
    '--mincpus=2 --ntasks-per-core=1',
    '--wckey=key --licenses=',
    '--job-name="two words" -o "o u t-%j" -e err -i /dev/null',
    '--kill-on-invalid-dep=yes',
    '--spread-job',
    '--use-min-nodes -N1-2',
    '--delay-boot=5 --cpu-freq=high --acctg-freq=task=5',
    '--parsable --quiet --export=NONE --verbose',
  ])('gives #SBATCH %s the effect that sbatch gives it', async (options) => {
    const script = `#!/bin/sh\n#SBATCH --hold ${options}\nexit 0\n`;
    const byRest = await submit(script);
    const bySbatch = await submitBy(commands, script);
    expect(await shown(byRest)).toEqual(await shown(bySbatch));
    await cancel(byRest);
    await cancel(bySbatch);
  });

  it('gives the job the variables of Slurm that sbatch gives it', async () => {
    const options =
      '-J named -N2 -n4 -c2 --ntasks-per-node=2 --mem=100M --open-mode=append --time=5 --threads-per-core=1';
    const script = `#!/bin/sh\n#SBATCH ${options}\nenv | grep ^SLURM | sort\n`;
    const variables = async (adapter: SchedulerAdapter, standardOutput: string) => {
      await jobEnd(candidate(adapter), await submitBy(adapter, script, { standardOutput, env: { A: '1' } }));
      const output = await host.files.readFile(`${directory}/${standardOutput}`, { bytesMax: 100_000 });
      // What is another for each job, and what only a login node has.
      const differing = /^SLURM_(JOB_?ID|TASK_PID|SUBMIT_\w+|PRIO_PROCESS|UMASK|GET_USER_ENV|RLIMIT_\w+)=/;
      return output
        .toString()
        .split('\n')
        .filter((line) => !differing.test(line));
    };
    expect(await variables(rest, 'variables-rest')).toEqual(await variables(commands, 'variables-cli'));
  });

  it('takes the request over the script, and keeps the comment of the script beside the key', async () => {
    const key = newKey();
    const script =
      '#!/bin/sh\n#SBATCH -H -J other --comment=\'my project, "x"\'\n#SBATCH -o elsewhere -p gpu\nexit 0\n';
    const jobId = await submit(script, { name: 'mine', partition: 'normal', standardOutput: 'here' }, key);
    const { stdout } = await host.shell.run([
      'squeue',
      '-h',
      '-j',
      jobId,
      '-O',
      'Name:|,Partition:|,Comment:|,STDOUT:|',
    ]);
    expect(stdout.toString().trim()).toBe(`mine|normal|my project, "x" ${key}|here|`);
    await cancel(jobId);
  });

  it('gives every resource of the request the effect of its option', async () => {
    const more = {
      ...{ nodes: 2, tasks: 4, tasksPerNode: 2, cpusPerTask: 2, memoryPerNodeBytes: 2 ** 29, timeLimitSeconds: 601 },
      ...{ array: '1-3%2', beginAt: Math.floor(Date.now() / 1_000) + 7_200, qos: 'normal', exclusive: true },
      ...{ comment: 'note', mailType: ['end' as const], mailUser: 'somebody' },
    };
    const jobId = await submit('#!/bin/sh\n#SBATCH --nodes=1 --time=5\nexit 0\n', more);
    const fields = await shown(jobId);
    for (const field of ['NumNodes=2-2', 'NumTasks=4', 'CPUs/Task=2', 'MinMemoryNode=512M', 'TimeLimit=00:11:00']) {
      expect(fields).toContain(field);
    }
    expect(fields).toEqual(expect.arrayContaining(['ArrayTaskThrottle=2', 'OverSubscribe=NO', 'MailType=END']));
    const [job] = await get(jobId);
    expect(job).toMatchObject({
      jobId: `${jobId}_[1-3%2]`,
      time: { limit: 660 },
    });
    await cancel(jobId);
  });

  it('gives the job the environment of the login, and over it what was sent', async () => {
    const script = '#!/bin/bash\necho "$HOME|$USER|$MINE|$PATH"\n';
    const jobId = await submit(script, { env: { MINE: 'a b', PATH: '/mine:/usr/bin:/bin' }, standardOutput: 'login' });
    await jobEnd(candidate(rest), jobId);
    const output = await host.files.readFile(`${directory}/login`, { bytesMax: 1_000 });
    const home = lab.lab.users.find(({ username }) => username === 'gcalice')?.home;
    expect(output.toString()).toBe(`${home}|gcalice|a b|/mine:/usr/bin:/bin\n`);
  });

  it('answers arrays as a whole, by element and by range, and cancels one element alone', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --array=1-4%1 --hold\nexec sleep 300\n');
    expect((await get(jobId)).map((job) => job.jobId)).toEqual([`${jobId}_[1-4%1]`]);
    expect((await get(`${jobId}_2`)).map((job) => job.status.state)).toEqual(['PENDING']);
    await cancel(`${jobId}_2`);
    const waiting = (await get(jobId)).filter((job) => job.status.state === 'PENDING');
    expect(waiting.map((job) => job.jobId)).toEqual([`${jobId}_[1,3-4%1]`]);
    await cancel(jobId);
    expect((await get(jobId)).every((job) => job.status.state === 'CANCELLED')).toBe(true);
    expect((await failure(get(`${jobId}_9`))).code).toBe('JobNotFound');
  });

  it.each<[string, Partial<JobDescription>, string]>([
    ['partition', { partition: 'nope' }, 'Invalid partition name specified'],
    ['account', { account: 'nope' }, 'Invalid account or account/partition combination specified'],
    ['reservation', { reservation: 'nope' }, 'Requested reservation is invalid'],
    ['constraint', { constraints: 'nope' }, 'Invalid feature specification'],
    ['number of GPUs', { gpus: 1 }, 'Failure during parsing'],
  ])("refuses an unknown %s in the scheduler's words", async (_what, more, words) => {
    const error = await failure(submit(sleeper, more));
    expect([error.code, error.message]).toEqual(['InvalidJob', expect.stringContaining(words)]);
    expect(error.message).toMatch(/^Unexpected Slurm API response\. status:[45]00 message:/);
  });

  it('answers SubmitLimit where an accounting limit is reached', async () => {
    await lab.lab.slurm.admin('sacctmgr', ['-i', 'modify', 'user', 'gcbob', 'set', 'MaxSubmitJobs=0']);
    const error = await failure(submitBy(rest, sleeper, {}, newKey(), lab.host('gcbob')));
    await lab.lab.slurm.admin('sacctmgr', ['-i', 'modify', 'user', 'gcbob', 'set', 'MaxSubmitJobs=-1']);
    expect(error.code).toBe('SubmitLimit');
  });

  it.each([
    ['--overcommit', '--overcommit cannot be told'],
    ['--signal=B:USR1@60', '--signal=B:USR1@60 cannot be told'],
    ['--no-such-option', '--no-such-option is not known'],
    ['extra', '"extra": not an option'],
    ['--comment="open', 'a quote is opened and not closed'],
    ['--batch=cpu', '--batch=cpu cannot be told'],
  ])('refuses #SBATCH %s, naming line and option', async (option, words) => {
    const error = await failure(submit(`#!/bin/sh\n# comment\n#SBATCH ${option}\nexit 0\n`));
    expect(error.code).toBe('InvalidJob');
    expect(error.message).toContain('Line 3 of the batch script: ');
    expect(error.message).toContain(words);
  });

  it('hands a job that REST cannot be told to sbatch where it may, and finds it by its key', async () => {
    const key = newKey();
    const script = '#!/bin/sh\n#SBATCH -n1 --hold --overcommit\n#SBATCH hetjob\n#SBATCH -n1\nexit 0\n';
    const jobId = await submitBy(hybrid, script, {}, key);
    expect(await find(key, hybrid)).toEqual({ jobIds: [jobId], isCertain: true });
    expect((await get(jobId, hybrid)).map((job) => job.jobId)).toEqual([`${jobId}+0`, `${jobId}+1`]);
    await hybrid.cancel(host, { jobId, signal: noSignal });
  });

  it('submits a script of a path that is no text by sbatch where it may, and refuses it where not', async () => {
    const scriptPath = `${directory}/latin1.sh`;
    await host.files.writeFile(scriptPath, Buffer.from('#!/bin/sh\necho gr\xfcn\n', 'latin1'));
    const more = { script: undefined, scriptPath, standardOutput: 'latin1' };
    const error = await failure(submit('', more));
    expect([error.code, error.message]).toEqual(['NotSupported', expect.stringContaining('UTF-8')]);
    await jobEnd(candidate(hybrid), await submitBy(hybrid, '', more));
    const output = await host.files.readFile(`${directory}/latin1`, { bytesMax: 100 });
    expect(output.toString('latin1')).toBe('gr\xfcn\n');
  });

  it("does not cancel, hold or change another user's job", async () => {
    const jobId = await submit(sleeper);
    const bob = lab.host('gcbob');
    const changes = { ...noChanges, account: 'proj01' };
    expect((await failure(cancel(jobId, bob))).code).toBe('PermissionDenied');
    const waiting = await submit('#!/bin/sh\n#SBATCH --begin=now+1hour\nexit 0\n');
    for (const attempt of [
      () => rest.hold(bob, { jobId: waiting, signal: noSignal }),
      () => rest.modify(bob, { jobId: waiting, changes, signal: noSignal }),
    ]) {
      expect((await failure(attempt())).code).toBe('PermissionDenied');
    }
    await cancel(waiting);
    expect((await get(jobId))[0]).toMatchObject({ name: 'sbatch' });
    await cancel(jobId);
  });

  it('holds, releases and changes a job that waits, and says what has started or ended', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --begin=now+1hour\nexit 0\n');
    const request = { jobId, signal: noSignal };
    await rest.hold(host, request);
    expect((await get(jobId))[0]?.status.stateReason).toBe('JobHeldUser');
    await rest.release(host, request);
    expect((await get(jobId))[0]?.status.stateReason).not.toBe('JobHeldUser');
    const beginAt = Math.floor(Date.now() / 1_000) + 9_000;
    const changes = {
      ...noChanges,
      account: 'proj02',
      partition: 'normal',
      timeLimitSeconds: 120,
      beginAt,
    };
    await rest.modify(host, { ...request, changes });
    expect((await get(jobId))[0]).toMatchObject({
      ...{ account: 'proj02', partition: 'normal' },
      time: { limit: 120 },
    });
    await rest.modify(host, { ...request, changes: { ...noChanges, priority: 5 } });
    expect((await get(jobId))[0]?.priority).toBe(5);
    // slurmrestd 22.05.8 says that it changed a name, and has not.
    const unchanged = await failure(rest.modify(host, { ...request, changes: { ...noChanges, name: 'new' } }));
    expect([unchanged.code, unchanged.message]).toEqual(['NotSupported', expect.stringContaining('name')]);
    const refused = await failure(rest.modify(host, { ...request, changes: { ...noChanges, partition: 'nope' } }));
    expect([refused.code, refused.message]).toEqual(['InvalidJob', expect.stringContaining('Invalid partition name')]);
    await cancel(jobId);
    expect((await failure(rest.hold(host, request))).code).toBe('JobEnded');
    const unknown = { jobId: '4294967', signal: noSignal };
    expect((await failure(rest.hold(host, unknown))).code).toBe('JobNotFound');
    const running = await submit(sleeper);
    await jobRunning(candidate(rest), running);
    expect((await failure(rest.hold(host, { jobId: running, signal: noSignal }))).code).toBe('JobNotPending');
    await cancel(running);
  });

  it('shows an ended job with its steps, its killer and its exit code', async () => {
    const jobId = await submit(sleeper);
    await jobRunning(candidate(rest), jobId);
    await cancel(jobId);
    const failed = await submit('#!/bin/sh\nexit 3\n');
    const steps = async (id: string) =>
      vi.waitFor(
        async () => {
          const [job] = await get(id);
          expect(job?.tasks).toHaveLength(1);
          return job;
        },
        { timeout: 30_000, interval: 250 },
      );
    expect(await steps(jobId)).toMatchObject({
      ...{ status: { state: 'CANCELLED' }, killRequestUser: 'gcalice', allocationNodes: 1, cpus: 1, gpus: null },
      tasks: [{ id: `${jobId}.batch`, name: 'batch', time: { limit: null } }],
    });
    // The accounting of slurmrestd 22.05.8 has 0 for every exit code: the controller's counts, and a wrong one is none.
    expect(await steps(failed)).toMatchObject({
      status: { state: 'FAILED', exitCode: 3, interruptSignal: 0 },
      tasks: [{ status: { state: 'FAILED', exitCode: null } }],
    });
  });

  it('shows a job as the commands do', async () => {
    const held = await submit('#!/bin/sh\n#SBATCH --hold --time=10\nexit 0\n');
    expect(await get(held)).toEqual(await get(held, commands));
    const running = await submit(sleeper);
    await jobRunning(candidate(rest), running);
    const [byRest] = await get(running);
    const [byCommands] = await get(running, commands);
    expect(Math.abs((byRest?.time.elapsed ?? 0) - (byCommands?.time.elapsed ?? 0))).toBeLessThanOrEqual(2);
    expect({ ...byRest, time: null }).toEqual({ ...byCommands, time: null });
    await cancel(running);
    await cancel(held);
  });

  it("lists other users' jobs only when asked to, and only of the account that was named", async () => {
    const bob = lab.host('gcbob');
    const jobId = await submitBy(
      rest,
      '#!/bin/sh\n#SBATCH --hold\nexit 0\n',
      { workingDirectory: '/tmp' },
      newKey(),
      bob,
    );
    const ids = async (more: Partial<ListRequest>) => (await list(more)).jobs.map((each) => each.jobId);
    expect(await ids({})).not.toContain(jobId);
    expect(await ids({ isAllUsers: true })).toContain(jobId);
    expect(await ids({ isAllUsers: true, account: 'proj02' })).toContain(jobId);
    expect(await ids({ isAllUsers: true, account: 'proj01' })).not.toContain(jobId);
    await cancel(jobId, bob);
  });

  it('shows nodes, partitions, reservations and accounts as the commands do', async () => {
    const { admin } = lab.lab.slurm;
    await admin('scontrol', ['update', 'PartitionName=gpu', 'Hidden=YES']);
    await admin('scontrol', ['update', 'NodeName=n3', 'State=DRAIN', 'Reason=test']);
    await admin('scontrol', [
      ...['create', 'reservation', 'ReservationName=two words', 'StartTime=now+1hour', 'Duration=30'],
      ...['Users=gcalice', 'Nodes=n3'],
    ]);
    try {
      for (const showsHidden of [true, false]) {
        const request = { showsHidden, signal: noSignal };
        expect(await rest.partitions(host, request)).toEqual(await commands.partitions(host, request));
      }
      const measured = { cpuLoad: null, freeMemory: null };
      const nodes = async (adapter: SchedulerAdapter) =>
        (await adapter.nodes(host, noSignal)).map((node) => ({ ...node, ...measured }));
      expect(await nodes(rest)).toEqual(await nodes(commands));
      expect(await rest.reservations(host, noSignal)).toEqual(await commands.reservations(host, noSignal));
      for (const as of [host, lab.host('gccarol')]) {
        expect(await rest.accounts(as, noSignal)).toEqual(await commands.accounts(as, noSignal));
      }
    } finally {
      await admin('scontrol', ['update', 'PartitionName=gpu', 'Hidden=NO']);
      await admin('scontrol', ['update', 'NodeName=n3', 'State=RESUME']);
      await admin('scontrol', ['delete', 'ReservationName=two words']);
    }
    expect(await rest.reservations(host, noSignal)).toEqual([]);
  });

  it('speaks an older version of the API when told to, and says which it does not find', async () => {
    const older = adapterOf('rest', { apiVersion: 'v0.0.37' });
    const jobId = await submitBy(older, '#!/bin/sh\n#SBATCH -N1 --time=10 --hold\nexit 0\n');
    // Of a job's owner it tells the group by its number only.
    expect(await get(jobId, older)).toEqual((await get(jobId)).map((job) => ({ ...job, group: null })));
    await older.cancel(host, { jobId, signal: noSignal });
    const newer = adapterOf('rest', { apiVersion: '0.0.43' });
    expect((await failure(newer.ping(host, noSignal))).code).toBe('SchedulerFailed');
    expect((await failure(submitBy(newer, sleeper))).code).toBe('SchedulerFailed');
  });
});
