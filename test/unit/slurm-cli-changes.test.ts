import { describe, expect, it } from 'vitest';
import { buildUpdate, readChange } from '../../workers/schedulers/slurm-cli/change-job.ts';
import { parseEstimate } from '../../workers/schedulers/slurm-cli/estimate.ts';
import { explainTestFailure } from '../../workers/schedulers/slurm-cli/sbatch-refusal.ts';
import { gpusOf } from '../../workers/schedulers/slurm-cli/values.ts';

const nothing = {
  ...{ name: null, account: null, partition: null, qos: null, timeLimitSeconds: null, beginAt: null, priority: null },
};
const said = (text: string, exitCode: number | null = 1) =>
  readChange({ exitCode, stdout: Buffer.alloc(0), stderr: Buffer.from(text) });

describe('a change of a job', () => {
  it('is one argument for each value, whatever it holds', () => {
    const changes = { ...nothing, name: 'a b=c $(id)', timeLimitSeconds: 90, beginAt: 5, priority: 0 };
    expect(buildUpdate('12_[1-3]', changes)).toEqual([
      ...['scontrol', 'update', 'JobId=12_[1-3]', 'JobName=a b=c $(id)', 'TimeLimit=1:30', 'StartTime=uts5'],
      'Priority=0',
    ]);
  });

  // Slurm 22.05.8
  it.each([
    ['', 0, 'done'],
    ['Invalid job id specified for job 999999\nslurm_suspend error: Invalid job id specified\n', 1, 'unknown'],
    ['Invalid user id for job 2\nslurm_suspend error: Invalid user id\n', 1, 'PermissionDenied'],
    ['Access/permission denied for job 2\n', 1, 'PermissionDenied'],
    ['Job has already finished for job 4\nslurm_suspend error: Job has already finished\n', 1, 'JobEnded'],
    ['Job is no longer pending execution for job 1\n', 1, 'JobNotPending'],
    ['Invalid partition name specified for job 20\n', 1, 'InvalidJob'],
    ['Requested time limit is invalid (missing or exceeds some limit) for job 20\n', 1, 'InvalidJob'],
    ['3_1: Job has already finished\n3_2-4: No error\n', 1, 'done'],
    ['3_1: Job has already finished\n3_2-4: Access/permission denied\n', 1, 'PermissionDenied'],
    ['3_1: Job has already finished\n', 1, 'JobEnded'],
    ['Unexpected message received for job 20\n', 1, 'failed'],
    ['slurm_update error: Unable to contact slurm controller (connect failure)\n', 1, 'failed'],
    ['', 1, 'failed'],
    ['', null, 'failed'],
  ])('that answers %j with exit code %j is %s', (text, exitCode, outcome) => {
    expect(said(text, exitCode)).toBe(outcome);
  });
});

describe('an estimate', () => {
  it('is read from what sbatch says', () => {
    const message = 'sbatch: Job 9 to start at 1795380559 using 8 processors on nodes n[1,3] in partition normal';
    const expected = { startAt: 1795380559, nodes: 'n[1,3]', partition: 'normal', cpus: 8, message };
    expect(parseEstimate(`${message}\n`)).toEqual(expected);
  });

  it('invents nothing where sbatch says less', () => {
    const nothing = { startAt: null, nodes: null, partition: null, cpus: null };
    expect(parseEstimate('sbatch: Job 9 to start at Unknown')).toMatchObject(nothing);
    expect(parseEstimate('')).toEqual({ ...nothing, message: '' });
  });

  it.each([
    [
      'sbatch: error: invalid partition specified: nope\nallocation failure: Invalid partition name specified',
      'InvalidJob',
    ],
    ['allocation failure: Requested node configuration is not available', 'InvalidJob'],
    ['allocation failure: Requested time limit is invalid (missing or exceeds some limit)', 'InvalidJob'],
    ['sbatch: error: Invalid generic resource (gres) specification', 'InvalidJob'],
    [
      'sbatch: error: QOSMaxSubmitJobPerUserLimit\nallocation failure: Job violates accounting/QOS policy',
      'SubmitLimit',
    ],
    ['allocation failure: Unable to contact slurm controller (connect failure)', 'SchedulerFailed'],
    ['something new', 'SchedulerFailed'],
  ])('that is refused with %j is %s, never a doubt', (stderr, code) => {
    expect(explainTestFailure({ exitCode: 1, stderr }).code).toBe(code);
  });
});

describe('the GPUs of a job', () => {
  it.each([
    ['cpu=4,mem=8000M,node=1,gres/gpu=2,gres/gpu:a100=2', 2],
    ['gres/gpu:a100=2,gres/gpu:h100=1', 3],
    ['cpu=1,node=1', null],
    ['', null],
  ])('of %j are %j', (tres, gpus) => {
    expect(gpusOf(tres)).toBe(gpus);
  });
});
