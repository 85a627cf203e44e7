/**
 * The PBS adapter over a scripted host: no OpenPBS can be installed from the package registries that the tests use, so its
 * commands are scripts here (`pbs-host/`). SSH, quoting, shell, files and processes are real; the server is not.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { createScheduler } from '../../workers/schedulers/create-scheduler.ts';
import type { JobChanges, SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import { type ScriptedPbsHost, startScriptedPbsHost } from './pbs-host/scripted-pbs-host.ts';
import { type Candidate, describeJob, jobEnd, jobRunning, newKey } from './scheduler-candidate.ts';
import { describeSchedulerConformance } from './scheduler-conformance.ts';
import { type SchedulerLab, startSchedulerLab } from './scheduler-fixture.ts';
import { itWatchesJobs } from './watched-jobs.ts';

const noSignal = new AbortController().signal;
const adapter = createScheduler({ scheduler: { type: 'pbs', timeoutMs: 10_000 } });

let lab: SchedulerLab;
const pbs = { old: startScriptedPbsHost('openpbs-20'), new: startScriptedPbsHost('openpbs-23') };
const candidates: { old?: Candidate; new?: Candidate } = {};

async function candidateOn(server: ScriptedPbsHost): Promise<Candidate> {
  return { adapter, host: server.withCommands(lab.host('gcalice')), directory: await lab.directory('gcalice') };
}

function candidate(which: 'old' | 'new'): Candidate {
  const found = candidates[which];
  if (!found) throw new Error('the lab has not started');
  return found;
}

beforeAll(async () => {
  lab = await startSchedulerLab(['redis', 'sshd']);
  candidates.old = await candidateOn(pbs.old);
  candidates.new = await candidateOn(pbs.new);
}, 60_000);

afterAll(async () => {
  await lab?.stop();
  pbs.old.stop();
  pbs.new.stop();
}, 30_000);

// What PBS takes for a name; some of it looks like a number to qstat.
const traits = {
  jobNames: ['plain', '1e5', 'inf', '007', '-leading', 'a+b.c_d-e'],
  hasJobFiles: false,
  enter: 'cd "$PBS_O_WORKDIR"\n',
  lacks: ['estimate' as const],
  isScripted: true as const,
};
describeSchedulerConformance('pbs on a scripted host of OpenPBS 20', async () => candidate('old'), traits);
describeSchedulerConformance('pbs on a scripted host of OpenPBS 23', async () => candidate('new'), traits);

describe('the PBS adapter on a scripted host', { timeout: 60_000 }, () => {
  itWatchesJobs(
    () => lab,
    () => candidate('new'),
    { errorOutput: { lines: ['broken'] } },
  );

  const here = () => candidate('old');
  const host = (): SchedulerHost => here().host;
  const submit = async (script: string, more: Partial<JobDescription> = {}, key = newKey()): Promise<string> => {
    const job = describeJob(here().directory, script, more);
    return (await adapter.submit(host(), { job, key, signal: noSignal })).jobId;
  };
  const read = async (name: string): Promise<string> =>
    (await host().files.readFile(`${here().directory}/${name}`, { bytesMax: 100_000 })).toString();
  const get = async (jobId: string) => (await adapter.get(host(), { jobId, signal: noSignal }))[0];
  const failure = (promise: Promise<unknown>): Promise<BrokerError> =>
    promise.then(
      () => expect.unreachable('should have been refused'),
      (error: BrokerError) => error,
    );

  it('names the task of a job where an admin looks, in the variables that qstat shows', async () => {
    const key = newKey();
    const jobId = await submit('#!/bin/sh\nsleep 60\n', {}, key);
    const { stdout } = await host().shell.run(['qstat', '-f', '-F', 'json', jobId]);
    expect(stdout.toString()).toMatch(new RegExp(`"GOLDCREST_KEY": ?"${key}"`));
    await adapter.cancel(host(), { jobId, signal: noSignal });
  });

  describe('refuses, by name, what PBS has no word for, and submits nothing:', () => {
    it.each<[string, Partial<JobDescription>, string]>([
      ['a file for the standard input', { standardInput: 'in' }, 'InvalidJob'],
      ['constraints', { constraints: 'gpu' }, 'InvalidJob'],
      ['partition and reservation together', { partition: 'workq', reservation: 'R5' }, 'InvalidJob'],
      ['a file name that PBS reads as another host', { standardOutput: 'a:b' }, 'InvalidJob'],
      ['a value whose end PBS would drop', { env: { A: 'x ' } }, 'InvalidJob'],
      ['a variable that PBS sets itself', { env: { PBS_O_HOST: 'x' } }, 'InvalidJob'],
      ['a quality of service', { qos: 'high' }, 'NotSupported'],
      ['licenses', { licenses: 'matlab:1' }, 'NotSupported'],
      ['a list of array indices', { array: '1,5,9' }, 'InvalidJob'],
      ['a name with white space', { name: 'a b' }, 'InvalidJob'],
      ['a queue that is not there', { partition: 'nope' }, 'InvalidJob'],
      ['a working directory that is not there', { workingDirectory: '/nonexistent' }, 'InvalidJob'],
    ])('%s', async (_what, more, code) => {
      const key = newKey();
      expect((await failure(submit('#!/bin/sh\n', more, key))).code).toBe(code);
      const found = await adapter.findByKey(host(), { key, submittedAfter: Date.now(), signal: noSignal });
      expect(found).toEqual({ jobIds: [], isCertain: true });
    });
  });

  it.each([
    ['Unknown queue', 'InvalidJob'],
    ["would exceed complex's per-user limit", 'SubmitLimit'],
    ['Unauthorized Request ', 'PermissionDenied'],
    ['Please name a project, says this site', 'InvalidJob'],
    ['Request not allowed: Server shutting down', 'SubmissionInDoubt'],
  ])('takes the answer %j of the server for %s', async (text, code) => {
    const callOff = pbs.old.fault('refusal', text);
    const error = await failure(submit('#!/bin/sh\n')).finally(callOff);
    expect(error.code).toBe(code);
    if (code !== 'SubmissionInDoubt') expect(error.message).toContain(text.trim());
  });

  it('leaves it in doubt whether a job exists when qsub dies before it told the id, and finds that job', async () => {
    const callOff = pbs.old.fault('lost-answer');
    const key = newKey();
    const submittedAfter = Date.now();
    const error = await failure(submit('#!/bin/sh\n', {}, key)).finally(callOff);
    expect(error.code).toBe('SubmissionInDoubt');
    const { jobIds, isCertain } = await adapter.findByKey(host(), { key, submittedAfter, signal: noSignal });
    expect([jobIds.length, isCertain]).toEqual([1, true]);
    await jobEnd(here(), jobIds[0] ?? '');
  });

  it('is never certain that there is no job where the server keeps no history of ended ones', async () => {
    const callOff = pbs.old.fault('no-history');
    try {
      const key = newKey();
      const request = { key, submittedAfter: Date.now(), signal: noSignal };
      const jobId = await submit('#!/bin/sh\nexec sleep 300\n', {}, key);
      expect(await adapter.findByKey(host(), request)).toEqual({ jobIds: [jobId], isCertain: false });
      expect((await jobRunning(here(), jobId)).jobId).toBe(jobId);
      const list = { isAllUsers: false, account: null, name: null, windowSeconds: 3_600, signal: noSignal };
      const { jobs, isComplete } = await adapter.list(host(), list);
      expect([jobs.map((job) => job.jobId).includes(jobId), isComplete]).toEqual([true, false]);
      await adapter.cancel(host(), { jobId, signal: noSignal });
    } finally {
      callOff();
    }
  });

  it('says that the scheduler failed, and never that there is no job, while the server is down', async () => {
    const jobId = await submit('#!/bin/sh\nexit 0\n');
    await jobEnd(here(), jobId);
    const callOff = pbs.old.fault('down');
    const list = { isAllUsers: true, account: null, name: null, windowSeconds: 3_600, signal: noSignal };
    try {
      const codes = await Promise.all(
        [
          adapter.get(host(), { jobId, signal: noSignal }),
          adapter.list(host(), list),
          adapter.cancel(host(), { jobId, signal: noSignal }),
          adapter.lookUp(host(), { jobIds: [jobId], usernames: ['gcalice'], signal: noSignal }),
          adapter.ping(host(), noSignal),
          adapter.nodes(host(), noSignal),
          adapter.reservations(host(), noSignal),
        ].map(async (answer) => (await failure(answer)).code),
      );
      expect(new Set(codes)).toEqual(new Set(['SchedulerFailed']));
      const found = await adapter.findByKey(host(), { key: newKey(), submittedAfter: 0, signal: noSignal });
      expect(found).toEqual({ jobIds: [], isCertain: false });
      expect((await failure(submit('#!/bin/sh\n'))).code).toBe('SubmissionInDoubt');
    } finally {
      callOff();
    }
  });

  it('does not take a server that shuts down for one that is up', async () => {
    const callOff = pbs.old.fault('terminating');
    expect((await failure(adapter.ping(host(), noSignal)).finally(callOff)).code).toBe('SchedulerFailed');
  });

  it("keeps the script's own directives, its variables among them, beside the key and the variables of the request", async () => {
    const script = [
      '#!/bin/sh',
      '#PBS -N from-script -P physics',
      `#PBS -v "OWN='a,b c',BOTH=script"`,
      '#PBS -j oe -o own.txt',
      'echo "$OWN|$BOTH|$SENT"',
      'echo err >&2',
    ].join('\n');
    const key = newKey();
    const jobId = await submit(script, { env: { BOTH: 'request', SENT: '1' } }, key);
    const job = await jobEnd(here(), jobId);
    expect([job.name, job.account]).toEqual(['from-script', 'physics']);
    expect(await read('own.txt')).toBe('a,b c|request|1\nerr\n');
    expect(await adapter.findByKey(host(), { key, submittedAfter: Date.now(), signal: noSignal })).toMatchObject({
      jobIds: [jobId],
    });
    const [files] = await adapter.metadata(host(), { jobId, signal: noSignal });
    const output = `${here().directory}/own.txt`;
    expect(files).toEqual({ jobId, script: null, standardInput: null, standardOutput: output, standardError: output });
  });

  it("takes PBS's file names as they are, and shows its default ones", async () => {
    const jobId = await submit('#!/bin/sh\necho out\n', { name: 'named', standardOutput: 'o-%j' });
    await jobEnd(here(), jobId);
    const [files] = await adapter.metadata(host(), { jobId, signal: noSignal });
    const directory = here().directory;
    expect(files).toMatchObject({ standardOutput: `${directory}/o-%j`, standardError: `${directory}/named.e${jobId}` });
    expect(await read('o-%j')).toBe('out\n');
  });

  it('asks for the resources of the request, and shows what of it counts', async () => {
    const resources = {
      nodes: 2,
      tasksPerNode: 4,
      cpusPerTask: 2,
      memoryPerNodeBytes: 2 ** 32,
      timeLimitSeconds: 5_400,
    };
    const jobId = await submit('#!/bin/sh\n', { ...resources, exclusive: true, gpusPerNode: 1 });
    const { stdout } = await host().shell.run(['qstat', '-x', '-f', '-F', 'json', jobId]);
    expect(stdout.toString()).toContain('"select":"2:ncpus=8:mpiprocs=4:mem=4194304kb:ngpus=1"');
    expect(stdout.toString()).toContain('"place":"scatter:excl"');
    expect(await get(jobId)).toMatchObject({ time: { limit: 5_400 }, cpus: 16, gpus: 2 });
  });

  it('shows a job that ran out of time as TIMEOUT, with the signal', async () => {
    const jobId = await submit('#!/bin/sh\nexec sleep 300\n', { timeLimitSeconds: 1 });
    expect((await jobEnd(here(), jobId)).status).toMatchObject({
      state: 'TIMEOUT',
      exitCode: 271,
      interruptSignal: 15,
    });
  });

  it('shows the times of a job in the zone of no one: as seconds since the epoch', async () => {
    const before = Math.floor(Date.now() / 1_000) - 1;
    const job = await jobEnd(here(), await submit('#!/bin/sh\nsleep 1\n'));
    const after = Math.ceil(Date.now() / 1_000) + 1;
    for (const time of [job.time.submit, job.time.start, job.time.end]) {
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(after);
    }
  });

  it('holds a waiting job, changes it, and lets it run', async () => {
    const jobId = await submit('#!/bin/sh\n#PBS -h\n', { timeLimitSeconds: 60 });
    expect((await get(jobId))?.status.state).toBe('PENDING');
    await adapter.hold(host(), { jobId, signal: noSignal });
    const unchanged: JobChanges = {
      ...{
        name: null,
        account: null,
        partition: null,
        qos: null,
        timeLimitSeconds: null,
        beginAt: null,
        priority: null,
      },
    };
    const changes = { ...unchanged, name: 'renamed', timeLimitSeconds: 120, priority: 5 };
    await adapter.modify(host(), { jobId, changes, signal: noSignal });
    expect(await get(jobId)).toMatchObject({ name: 'renamed', priority: 5, time: { limit: 120 } });
    await adapter.release(host(), { jobId, signal: noSignal });
    expect((await jobEnd(here(), jobId)).status.state).toBe('COMPLETED');
    for (const change of ['hold', 'release', 'modify'] as const) {
      expect((await failure(adapter[change](host(), { jobId, changes, signal: noSignal }))).code).toBe('JobEnded');
    }
  });

  it('neither holds nor renames a job that runs', async () => {
    const jobId = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(here(), jobId);
    expect((await failure(adapter.hold(host(), { jobId, signal: noSignal }))).code).toBe('JobNotPending');
    await adapter.cancel(host(), { jobId, signal: noSignal });
    expect((await failure(adapter.hold(host(), { jobId: '4294967', signal: noSignal }))).code).toBe('JobNotFound');
  });

  it('cancels a job that has not begun', async () => {
    const jobId = await submit('#!/bin/sh\n#PBS -h\n');
    await adapter.cancel(host(), { jobId, signal: noSignal });
    expect((await jobEnd(here(), jobId)).status).toMatchObject({ state: 'CANCELLED', exitCode: null });
  });

  it('runs an array as one job, whose subjobs are jobs of their own', async () => {
    const jobId = await submit('#!/bin/sh\necho $PBS_ARRAY_INDEX\n', {
      array: '1-3',
      standardOutput: 'part-^array_index^',
    });
    expect(jobId).toMatch(/^\d+\[\]$/);
    expect((await jobEnd(here(), jobId)).status.state).toBe('COMPLETED');
    const part = jobId.replace('[]', '[2]');
    expect(await get(part)).toMatchObject({ jobId: part, status: { state: 'COMPLETED' } });
    const [files] = await adapter.metadata(host(), { jobId: part, signal: noSignal });
    expect(files?.standardOutput).toBe(`${here().directory}/part-2`);
    expect(await read('part-2')).toBe('2\n');
  });

  it('looks up many jobs in one query, and leaves out those that PBS does not know', async () => {
    const jobIds = [await submit('#!/bin/sh\n'), await submit('#!/bin/sh\nexit 2\n')];
    for (const jobId of jobIds) await jobEnd(here(), jobId);
    const asked = [...jobIds, '4294967', 'abc', `${jobIds[0]}.pbs`];
    const found = await adapter.lookUp(host(), { jobIds: asked, usernames: ['gcalice'], signal: noSignal });
    expect([...found].map(([id, [job]]) => [id, job?.jobId, job?.status.state])).toEqual([
      [jobIds[0], jobIds[0], 'COMPLETED'],
      [jobIds[1], jobIds[1], 'FAILED'],
      [`${jobIds[0]}.pbs`, jobIds[0], 'COMPLETED'],
    ]);
  });

  it("lists other users' jobs only when asked to, and cancels none of them", async () => {
    const bob = pbs.old.withCommands(lab.host('gcbob'));
    const job = describeJob(await lab.directory('gcbob'), '#!/bin/sh\nexec sleep 300\n');
    const { jobId } = await adapter.submit(bob, { job, key: newKey(), signal: noSignal });
    const list = { isAllUsers: true, account: null, name: null, windowSeconds: 3_600, signal: noSignal };
    const ids = async (isAllUsers: boolean) =>
      (await adapter.list(host(), { ...list, isAllUsers })).jobs.map((each) => each.jobId);
    expect(await ids(true)).toContain(jobId);
    expect(await ids(false)).not.toContain(jobId);
    expect((await failure(adapter.cancel(host(), { jobId, signal: noSignal }))).code).toBe('PermissionDenied');
    await adapter.cancel(bob, { jobId, signal: noSignal });
  });

  it('shows nodes, queues and reservations as PBS tells them', async () => {
    for (const { host: at } of [candidate('old'), candidate('new')]) {
      const nodes = await adapter.nodes(at, noSignal);
      const shown = nodes
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map((each) => [each.name, each.state, each.allocCpus, each.idleCpus]);
      expect(shown).toEqual([
        ['n1', ['MIXED'], 1, 3],
        ['n2', ['OFFLINE', 'ALLOCATED'], 0, 4],
      ]);
      expect(await adapter.partitions(at, { showsHidden: false, signal: noSignal })).toEqual([
        { name: 'R5', cpus: null, totalNodes: null, partition: 'DOWN' },
        { name: 'workq', cpus: 4, totalNodes: 2, partition: 'UP' },
      ]);
      expect(await adapter.reservations(at, noSignal)).toEqual([
        {
          name: 'R5',
          nodeList: 'n1,n2',
          startTime: 1661335200,
          endTime: 1661338800,
          features: null,
          state: 'inactive',
        },
      ]);
      expect(await adapter.accounts(at, noSignal)).toBeNull();
    }
  });

  it('says that its jobs cannot be attached to, and that it cannot tell when a job would start', async () => {
    const job = describeJob(here().directory, '#!/bin/sh\n');
    expect((await failure(adapter.attach(host(), { jobId: '1', command: 'true', signal: noSignal }))).code).toBe(
      'NotSupported',
    );
    expect((await failure(adapter.estimate(host(), { job, signal: noSignal }))).code).toBe('NotSupported');
  });
});
