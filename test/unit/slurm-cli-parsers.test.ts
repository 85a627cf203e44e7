import { describe, expect, it } from 'vitest';
import { newDelimiter, parseRows } from '../../workers/schedulers/slurm-cli/delimited.ts';
import { baseState, cancelledBy } from '../../workers/schedulers/slurm-cli/job-states.ts';
import { mergeJobs } from '../../workers/schedulers/slurm-cli/merge-jobs.ts';
import { parseSacctKeys, readSacctJobs } from '../../workers/schedulers/slurm-cli/sacct.ts';
import { readScancel } from '../../workers/schedulers/slurm-cli/scancel.ts';
import { isUp } from '../../workers/schedulers/slurm-cli/scontrol-ping.ts';
import { isPartOf, parseJobId } from '../../workers/schedulers/slurm-cli/slurm-job-id.ts';
import { parseSqueueJobs, parseSqueueKeys } from '../../workers/schedulers/slurm-cli/squeue.ts';
import { durationSeconds, exitStatus, wholeNumber } from '../../workers/schedulers/slurm-cli/values.ts';

/** Slurm 22.05.8, the delimiter written as ¦. A job with a delimiter of other tools, quotes and a newline in its name. */
const squeueCanceled =
  '56¦CANCELLED¦None¦15¦cap¦0:03¦365-00:00:00¦1795371151¦1795371151¦1795371154¦1¦4¦cpu=4,mem=8000M,node=1,billing=4,gres/gpu=2¦n1¦normal¦gcsa¦1001¦gcsa¦proj01¦4294901727¦we|ird \'na"me\nline2 é¦/home/gcsa¦\n';
const sacctCanceled =
  "56¦CANCELLED by 1001¦None¦0:0¦cap¦3¦00:00:00¦525600¦1795371151¦1795371151¦1795371154¦1¦4¦4¦cpu=4,gres/gpu=2¦cpu=4¦n1¦normal¦gcsa¦1001¦gcsa¦proj01¦4294901727¦we|ird 'na`me\nline2 é¦/home/gcsa¦\n" +
  '56.batch¦CANCELLED¦¦0:15¦cap¦3¦00:00:00¦¦1795371151¦1795371151¦1795371154¦1¦4¦4¦cpu=4,gres/gpu=2¦cpu=4¦n1¦¦¦¦¦proj01¦¦batch¦¦\n';
const squeuePending =
  '58¦PENDING¦JobHeldUser¦0¦cap¦0:00¦UNLIMITED¦1795371151¦N/A¦N/A¦1¦4¦cpu=4,mem=8000M,node=1,billing=4,gres/gpu=2¦¦normal¦gcsa¦1001¦gcsa¦proj01¦0¦sbatch¦/home/gcsa¦\n';
const sacctPending =
  '58¦PENDING¦JobHeldUser¦0:0¦cap¦0¦00:00:00¦Partition_Limit¦1795371151¦Unknown¦Unknown¦0¦0¦4¦¦cpu=4,gres/gpu=2¦None assigned¦normal¦gcsa¦1001¦gcsa¦proj01¦0¦sbatch¦/home/gcsa¦\n';
const squeueRunning =
  '60¦RUNNING¦None¦0¦cap¦0:07¦20:00¦1795371154¦1795371154¦1795372354¦1¦4¦cpu=4,mem=8000M,node=1,billing=4,gres/gpu=2¦n1¦debug¦gcsa¦1001¦gcsa¦proj01¦4294901725¦run¦/home/gcsa¦\n';
const sacctRunning =
  '60¦RUNNING¦None¦0:0¦cap¦7¦00:00:00¦20¦1795371154¦1795371154¦Unknown¦1¦4¦4¦cpu=4,gres/gpu=2¦cpu=4¦n1¦debug¦gcsa¦1001¦gcsa¦proj01¦4294901725¦run¦/home/gcsa¦\n' +
  '60.batch¦RUNNING¦¦0:0¦cap¦7¦00:00:00¦¦1795371154¦1795371154¦Unknown¦1¦4¦4¦cpu=4,gres/gpu=2¦cpu=4¦n1¦¦¦¦¦proj01¦¦batch¦¦\n';
const squeueArray =
  '57_2¦FAILED¦JobLaunchFailure¦9¦cap¦0:00¦30:00¦1795371151¦1795371151¦1795371151¦1¦4¦cpu=4,mem=8000M,node=1,billing=4,gres/gpu=2¦n1¦debug¦gcsa¦1001¦gcsa¦proj01¦4294901726¦arr¦/home/gcsa¦\n' +
  '57_1¦FAILED¦JobLaunchFailure¦9¦cap¦0:00¦30:00¦1795371151¦1795371151¦1795371151¦1¦4¦cpu=4,mem=8000M,node=1,billing=4,gres/gpu=2¦n1¦debug¦gcsa¦1001¦gcsa¦proj01¦4294901726¦arr¦/home/gcsa¦\n';
const sacctArray =
  '57_1¦FAILED¦None¦0:9¦cap¦0¦00:00:00¦30¦1795371151¦1795371151¦1795371151¦1¦4¦4¦cpu=4,gres/gpu=2¦cpu=4¦n1¦debug¦gcsa¦1001¦gcsa¦proj01¦4294901726¦arr¦/home/gcsa¦\n';

const queue = (text: string) => parseSqueueJobs(text, '¦');
const accounting = (text: string) => readSacctJobs(text, '¦');

describe('rows of fields', () => {
  it('survive newlines and foreign delimiters in a field', () => {
    expect(parseRows('1¦a|b\nc¦\n2¦¦\n', ['id', 'name'], '¦')).toEqual([
      { id: '1', name: 'a|b\nc' },
      { id: '2', name: '' },
    ]);
    expect(parseRows('', ['id'], '¦')).toEqual([]);
  });

  it('that end within a row are an error, not fewer rows', () => {
    expect(() => parseRows('1¦a¦\n2¦', ['id', 'name'], '¦')).toThrow('could not be read');
    expect(() => parseRows('slurm_load_jobs error\n', ['id', 'name'], '¦')).toThrow('could not be read');
  });

  it('have a delimiter that nobody can know', () => {
    expect(newDelimiter()).not.toBe(newDelimiter());
    expect(newDelimiter()).toMatch(/^[+@0-9a-f]+$/);
  });
});

describe('a job of the queue', () => {
  it('that ended shows its figures and its name as it was given', () => {
    expect(queue(squeueCanceled)[0]?.job).toMatchObject({
      jobId: '56',
      name: 'we|ird \'na"me\nline2 é',
      status: { state: 'CANCELLED', stateReason: null, exitCode: 0, interruptSignal: 15 },
      time: { elapsed: 3, start: 1795371151, end: 1795371154, limit: 31_536_000 },
      priority: 4294901727,
    });
  });

  it('that is pending has no start, no nodes and no exit code', () => {
    expect(queue(squeuePending)[0]?.job).toMatchObject({
      status: { state: 'PENDING', stateReason: 'JobHeldUser', exitCode: null, interruptSignal: null },
      time: { elapsed: 0, start: null, end: null, limit: null },
      nodes: 'None assigned',
      allocationNodes: 0,
    });
  });

  it('that runs does not show its expected end as its end', () => {
    expect(queue(squeueRunning)[0]?.job.time).toMatchObject({ start: 1795371154, end: null, limit: 1_200, elapsed: 7 });
  });
});

describe('a job of the accounting', () => {
  it('shows who canceled it, its steps and its limit in seconds', async () => {
    const [record] = await accounting(sacctCanceled);
    expect(record?.job).toMatchObject({
      status: { state: 'CANCELLED' },
      killRequestUser: 'gcsa',
      time: { limit: 31_536_000 },
    });
    expect(record?.job.tasks).toMatchObject([
      { id: '56.batch', name: 'batch', status: { state: 'CANCELLED', interruptSignal: 15 }, time: { limit: null } },
    ]);
  });

  it('shows nothing for what is unknown', async () => {
    expect((await accounting(sacctPending))[0]?.job).toMatchObject({
      time: { start: null, end: null, limit: null },
      nodes: 'None assigned',
    });
  });
});

describe('queue and accounting together', () => {
  it('add up to the name of the queue and the figures of the accounting', async () => {
    const [job] = mergeJobs(queue(squeueCanceled), await accounting(sacctCanceled));
    expect(job).toMatchObject({
      name: 'we|ird \'na"me\nline2 é',
      status: { exitCode: 0, interruptSignal: 0 },
      killRequestUser: 'gcsa',
    });
    expect(job?.tasks).toHaveLength(1);
  });

  it('give the newer truth of the queue while the accounting lags', async () => {
    const lagging = sacctRunning.replaceAll('60', '56').replaceAll('1795371154', '1795371151');
    expect(mergeJobs(queue(squeueCanceled), await accounting(lagging))[0]?.status.state).toBe('CANCELLED');
  });

  it('do not mix a job with an older one of the same id', async () => {
    const older = sacctCanceled.replaceAll('56', '60');
    expect(mergeJobs(queue(squeueRunning), await accounting(older))[0]?.status.state).toBe('RUNNING');
    const ended = squeueCanceled.replace('56', '60').replace('CANCELLED', 'FAILED').replace('1795371151', '1795379999');
    expect(mergeJobs(queue(ended), await accounting(older))[0]?.status.state).toBe('FAILED');
  });

  it('list elements in order, keep the reason of the queue and those that only one of them knows', async () => {
    const jobs = mergeJobs(queue(squeueArray), await accounting(sacctArray));
    expect(jobs.map((job) => job.jobId)).toEqual(['57_1', '57_2']);
    expect(jobs.map((job) => job.status.stateReason)).toEqual(['JobLaunchFailure', 'JobLaunchFailure']);
    expect(mergeJobs([], await accounting(sacctCanceled))).toHaveLength(1);
    expect(mergeJobs([], [])).toEqual([]);
  });
});

describe('keys', () => {
  it('are read beside ids from the queue and from the accounting', () => {
    expect(parseSqueueKeys('54_[2,4%1]¦(null)¦\n56¦mine goldcrest:01890a5d¦\n', '¦')).toEqual([
      { jobId: '54_[2,4%1]', text: '(null)' },
      { jobId: '56', text: 'mine goldcrest:01890a5d' },
    ]);
    expect(parseSacctKeys('57_1¦¦sbatch --array=1-2 --comment=goldcrest:x¦\n', '¦')).toEqual([
      { jobId: '57_1', text: ' sbatch --array=1-2 --comment=goldcrest:x' },
    ]);
  });
});

describe('single values', () => {
  it.each([
    ['CANCELLED by 1001', 'CANCELLED'],
    ['CANCELLED+', 'CANCELLED'],
    ['CONFIGURING', 'PENDING'],
    ['COMPLETING', 'RUNNING'],
    ['REQUEUE_HOLD', 'PENDING'],
    ['OUT_OF_MEMORY', 'OUT_OF_MEMORY'],
    ['SOMETHING_NEW', 'SOMETHING_NEW'],
  ])('state %s is the base word %s', (text, state) => {
    expect(baseState(text)).toBe(state);
  });

  it('names the uid that canceled', () => {
    expect(cancelledBy('CANCELLED by 1001')).toBe('1001');
    expect(cancelledBy('CANCELLED')).toBeNull();
  });

  it.each([
    ['0:07', 7],
    ['30:00', 1_800],
    ['1:02:03', 3_723],
    ['2-03:04:05', 183_845],
    ['00:00.120', 0],
    ['UNLIMITED', null],
    ['INVALID', null],
    ['', null],
  ])('duration %s is %s s', (text, seconds) => {
    expect(durationSeconds(text)).toBe(seconds);
  });

  it.each([
    ['0:9', { exitCode: 0, interruptSignal: 9 }],
    ['7:0', { exitCode: 7, interruptSignal: 0 }],
    ['9', { exitCode: 0, interruptSignal: 9 }],
    ['1792', { exitCode: 7, interruptSignal: 0 }],
    ['', { exitCode: null, interruptSignal: null }],
  ])('exit status %s', (text, status) => {
    expect(exitStatus(text)).toEqual(status);
  });

  it('reads no number from words', () => {
    expect([wholeNumber('12'), wholeNumber('Unknown'), wholeNumber('-1'), wholeNumber('')]).toEqual([
      12,
      null,
      null,
      null,
    ]);
  });

  it.each([
    ['123_4', '123', true],
    ['123_4', '123_4', true],
    ['123_[1-5%2]', '123_4', true],
    ['123_[1,3-5]', '123_2', false],
    ['123_4', '123_[4-9]', true],
    ['123+1', '123', true],
    ['123+1', '123+0', false],
    ['123', '123+0', true],
    ['1234', '123', false],
    ['123', '123_4', false],
  ])('row %s belongs to %s: %s', (row, wanted, isPart) => {
    const [a, b] = [parseJobId(row), parseJobId(wanted)];
    expect(a && b && isPartOf(a, b)).toBe(isPart);
  });

  it.each(['', 'abc', '1,2', '1.batch', '12345678901', '1 2', '-1', '1_', '0', '007'])('%j is no job id', (text) => {
    expect(parseJobId(text)).toBeUndefined();
  });

  it('a number that Slurm would take for the id of another job is none', () => {
    expect(parseJobId('4294967293')?.base).toBe('4294967293');
    for (const text of ['4294967294', '4294967297', '9999999999']) expect(parseJobId(text)).toBeUndefined();
  });
});

describe('scancel --verbose', () => {
  // Slurm 22.05.8
  it.each([
    [0, 'scancel: Terminating job 60\n', 'canceled'],
    [
      0,
      'scancel: Terminating job 1\nscancel: error: Kill job error on job id 1: Job/step already completing or completed\n',
      'ended',
    ],
    [
      0,
      'scancel: Terminating job 999\nscancel: error: Kill job error on job id 999: Invalid job id specified\n',
      'unknown',
    ],
    [
      210,
      'scancel: Terminating job 4\nscancel: error: Kill job error on job id 4: Access/permission denied\n',
      'denied',
    ],
    [140, 'scancel: error: Kill job error on job id 1: Socket timed out on send/recv operation\n', 'failed'],
    [1, 'bash: scancel: command not found\n', 'failed'],
  ])('exit %s is told apart by its words', (exitCode, stderr, outcome) => {
    expect(readScancel(exitCode, stderr)).toBe(outcome);
  });
});

describe('scontrol ping', () => {
  it('is well when one controller is up', () => {
    expect(isUp('Slurmctld(primary) at vm is UP\n')).toBe(true);
    expect(isUp('Slurmctld(primary) at a is DOWN\nSlurmctld(backup) at b is UP\n')).toBe(true);
    expect(isUp('Slurmctld(primary) at vm is DOWN\n')).toBe(false);
  });
});
