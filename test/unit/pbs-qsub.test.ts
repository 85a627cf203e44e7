import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { noResources } from '../../shared/operations/compute/job-resources.ts';
import { directiveVariables } from '../../workers/schedulers/pbs/directive-variables.ts';
import { buildQsub, parseQsub } from '../../workers/schedulers/pbs/qsub.ts';
import { explainQsubFailure } from '../../workers/schedulers/pbs/qsub-refusal.ts';
import { resourceOptions } from '../../workers/schedulers/pbs/qsub-resources.ts';

const job: JobDescription = {
  name: null,
  account: null,
  reservation: null,
  partition: null,
  workingDirectory: '/home/alice',
  standardInput: null,
  standardOutput: null,
  standardError: null,
  env: {},
  constraints: null,
  script: '#!/bin/sh\n',
  scriptPath: undefined,
  ...noResources,
};

const variablesOf = (more: Partial<JobDescription>, script = '') => {
  const { argv } = buildQsub({ ...job, ...more }, script, 'goldcrest:1');
  return argv[argv.indexOf('-v') + 1] ?? '';
};

/** Reads a `-v` list as qsub's copy_env_value() and set_job_env() do. */
function asQsubReads(list: string): [string, string][] {
  const found: [string, string][] = [];
  let rest = list;
  while (rest !== '') {
    const at = rest.indexOf('=');
    const name = rest.slice(0, at);
    let value = '';
    let quote = '';
    let index = at + 1;
    for (; index < rest.length; index += 1) {
      const char = rest.charAt(index);
      if ((char === '"' || char === "'") && (quote === '' || quote === char)) quote = quote === '' ? char : '';
      else if (char === ',' && quote === '') break;
      else value += char;
    }
    found.push([name, value]);
    rest = rest.slice(index + 1);
  }
  return found;
}

describe('the variables of a PBS job', () => {
  it('reach it literally, whatever is in them', () => {
    const value = fc.string({ unit: fc.constantFrom('a', "'", '"', ',', '\\', '=', '$', '`', '\n', ' ', 'ü') });
    fc.assert(
      fc.property(value, value, (one, two) => {
        fc.pre(!/\s$/.test(one) && !/\s$/.test(two));
        expect(asQsubReads(variablesOf({ env: { ONE: one, TWO: two } }))).toEqual([
          ['ONE', one],
          ['TWO', two],
          ['GOLDCREST_KEY', 'goldcrest:1'],
        ]);
      }),
    );
  });

  it.each([
    ['#!/bin/sh\n#PBS -v A=1\necho\n#PBS -v B=2\n', 'A=1'],
    ['#!/bin/sh\n\n# text\n  #PBS -N n -v "A=x y",B\n', 'A=x y,B'],
    ["#!/bin/sh\n#PBS -v A='1,2'\n", 'A=1,2'],
    [`#!/bin/sh\n#PBS -v "A='1,2'"\n`, "A='1,2'"],
    ['#!/bin/sh\n#PBS -vA=1\n#PBS -hVv B=2\n', 'B=2'],
    ['#!/bin/sh\n#PBS -N -v -l select=1\n', undefined],
    ['#!/bin/sh\n#PBS -v A=1,\\\nB=2\n', 'A=1,B=2'],
    ['#!/bin/sh\n#SBATCH -v A=1\n#PBS -V\n', undefined],
  ])('of the script %j come first, as qsub reads them', (script, expected) => {
    expect(directiveVariables(script)).toBe(expected);
    const own = expected === undefined ? '' : `${expected},`;
    expect(variablesOf({}, script)).toBe(`${own}GOLDCREST_KEY=goldcrest:1`);
  });
});

describe('qsub', () => {
  it('is never left in the background, and gets the script by input or path', () => {
    expect(buildQsub({ ...job, name: 'n' }, '', 'k').argv.slice(0, 4)).toEqual(['qsub', '-f', '-N', 'n']);
    const byPath = buildQsub({ ...job, script: undefined, scriptPath: '/home/alice/a b' }, '', 'k');
    expect([byPath.argv.at(-1), byPath.stdin]).toEqual(['/home/alice/a b', '']);
  });

  it('answers with an id that clients know without the server', () => {
    expect(['12.pbs\n', 'a hook says hello\n12[].pbs.example.org\n'].map(parseQsub)).toEqual(['12', '12[]']);
    for (const output of ['', 'hello\n', '12\n']) expect(() => parseQsub(output)).toThrow('job id');
  });

  it.each([
    ['qsub: Unknown queue', 170, 'InvalidJob'],
    ['qsub: illegal -N value\nusage: qsub [-a date_time]', 2, 'InvalidJob'],
    ['usage: qsub [-a date_time]', 2, 'InvalidJob'],
    ['qsub: directive error: -Z ', 1, 'InvalidJob'],
    ['qsub: Job violates queue and/or server resource limits', 188, 'InvalidJob'],
    ['qsub: Illegal attribute or resource value Resource_List.select', 1, 'InvalidJob'],
    ["qsub: would exceed queue generic's per-user limit", 1, 'SubmitLimit'],
    ["qsub: Maximum number of jobs in 'Q' state already in complex", 1, 'SubmitLimit'],
    ['qsub: Unauthorized Request ', 159, 'PermissionDenied'],
    ["sh: 1: cd: can't cd to /nonexistent", 2, 'InvalidJob'],
    ["timeout: failed to run command 'qsub': No such file or directory", 127, 'SchedulerFailed'],
    ['', 74, 'SchedulerFailed'],
    ['Connection refused\nqsub: cannot connect to server pbs (errno=15010)', 255, 'SubmissionInDoubt'],
    ['Failed to recv data from background qsub', 255, 'SubmissionInDoubt'],
    ['qsub: Error (15033) submitting job', 249, 'SubmissionInDoubt'],
    ['qsub: Unknown queue\nqsub: Batch protocol error', 1, 'SubmissionInDoubt'],
    ['', 1, 'SubmissionInDoubt'],
  ])('that says %j is %s %s', (stderr, exitCode, code) => {
    expect(explainQsubFailure({ exitCode, stderr }).code).toBe(code);
  });

  it('that a signal ended leaves the job in doubt', () => {
    expect(explainQsubFailure({ exitCode: null, stderr: 'qsub: Unknown queue' }).code).toBe('SubmissionInDoubt');
  });
});

describe('resources of a PBS job', () => {
  const options = (more: Partial<JobDescription>) => resourceOptions({ ...job, ...more }).join(' ');

  it.each<[Partial<JobDescription>, string]>([
    [{}, ''],
    [{ tasks: 6 }, '-l select=6:ncpus=1:mpiprocs=1'],
    [{ cpusPerTask: 4, memoryPerNodeBytes: 1 }, '-l select=1:ncpus=4:mem=1kb'],
    [{ nodes: 2, tasks: 8, cpusPerTask: 2 }, '-l select=2:ncpus=8:mpiprocs=4 -l place=scatter'],
    [{ tasks: 8, tasksPerNode: 4 }, '-l select=2:ncpus=4:mpiprocs=4 -l place=scatter'],
    [{ tasksPerNode: 4 }, '-l select=1:ncpus=4:mpiprocs=4 -l place=scatter'],
    [{ nodes: 2, gpus: 4, exclusive: true }, '-l select=2:ncpus=1:ngpus=2 -l place=scatter:excl'],
    [{ tasks: 2, memoryPerCpuBytes: 2 ** 30, cpusPerTask: 3 }, '-l select=2:ncpus=3:mpiprocs=1:mem=3145728kb'],
    [{ gpusPerTask: 1, tasks: 3 }, '-l select=3:ncpus=1:mpiprocs=1:ngpus=1'],
    [{ timeLimitSeconds: 93_845, exclusive: false }, '-l place=shared -l walltime=26:04:05'],
    [{ array: '0-9:3%2', dependency: 'afterok:12' }, '-J 0-9:3%2 -W depend=afterok:12'],
    [{ beginAt: 1664918600, mailType: ['end', 'fail'], mailUser: 'a@b' }, '-a 202210042123.20 -m ea -M a@b'],
  ])('%j are %j', (wanted, expected) => {
    expect(options(wanted)).toBe(expected);
  });

  it.each<[Partial<JobDescription>, string]>([
    [{ nodes: 3, tasks: 8 }, 'tasks must be a multiple of nodes'],
    [{ nodes: 2, tasks: 8, tasksPerNode: 3 }, 'tasks must be nodes times tasksPerNode'],
    [{ nodes: 2, gpus: 3 }, 'gpus must be a multiple'],
    [{ tasks: 4, memoryPerNodeBytes: 1 }, 'nodes is needed'],
    [{ array: '1,2' }, 'array must be one range'],
    [{ qos: 'high' }, 'qos is not supported'],
    [{ comment: 'x' }, 'comment is not supported'],
  ])('%j are refused: %s', (wanted, words) => {
    expect(() => options(wanted)).toThrow(words);
  });
});
