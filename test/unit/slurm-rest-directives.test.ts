import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { noResources } from '../../shared/operations/compute/job-resources.ts';
import { findDialect } from '../../workers/schedulers/slurm-rest/dialects.ts';
import { NotExpressible, readDirectives } from '../../workers/schedulers/slurm-rest/directives.ts';
import { buildSubmission } from '../../workers/schedulers/slurm-rest/job-request.ts';
import { memoryMib, minutes, wordsOutsideBrackets } from '../../workers/schedulers/slurm-rest/option-values.ts';

const read = (...lines: string[]) =>
  readDirectives(`#!/bin/sh\n${lines.map((line) => `#SBATCH ${line}\n`).join('')}exit 0\n`).map(({ name, value }) => [
    name,
    value,
  ]);

describe('#SBATCH lines are read as sbatch reads them', () => {
  it.each<[string[], [string, string | null][]]>([
    [['-n4'], [['ntasks', '4']]],
    [
      ['-n 4 -N 2-3'],
      [
        ['ntasks', '4'],
        ['nodes', '2-3'],
      ],
    ],
    [
      ['-Hn4'],
      [
        ['hold', null],
        ['ntasks', '4'],
      ],
    ],
    [['-n=4'], [['ntasks', '=4']]],
    [
      ['--ntasks 4 --mem=1G'],
      [
        ['ntasks', '4'],
        ['mem', '1G'],
      ],
    ],
    [['--comm x'], [['comment', 'x']]],
    [['--comment', 'foo'], [['comment', 'foo']]],
    [
      ['--nice --exclusive=user -k'],
      [
        ['nice', null],
        ['exclusive', 'user'],
        ['no-kill', null],
      ],
    ],
    [
      [`--job-name='a b' -J "c d" -J e\\ f`],
      [
        ['job-name', 'a b'],
        ['job-name', 'c d'],
        ['job-name', 'e f'],
      ],
    ],
    [['-J a#b -n 3'], [['job-name', 'a']]],
    [
      ['--time=-- --comment=--hold'],
      [
        ['time', '--'],
        ['comment', '--hold'],
      ],
    ],
    [
      ['--workdir=/x --share'],
      [
        ['chdir', '/x'],
        ['oversubscribe', null],
      ],
    ],
  ])('%j', (lines, expected) => {
    expect(read(...lines)).toEqual(expected);
  });

  it.each([
    ['--co=x', 'is ambiguous: --comment'],
    ['--no-such', 'the option --no-such is not known'],
    ['-y', 'the option -y is not known'],
    ['--hold=1', 'the option --hold takes no value'],
    ['-n', 'the option -n needs a value'],
    ['--nice 5', '"5": not an option'],
    ['-- -N1', '"--": not an option'],
    ['hetjob', '"hetjob": a heterogeneous job'],
    ['--comment="x', 'a quote is opened and not closed'],
  ])('%s is refused with its line', (line, words) => {
    const script = `#!/bin/sh\n\n#SBATCH --hold\n#SBATCH ${line}\nexit 0\n`;
    expect(() => readDirectives(script)).toThrow(NotExpressible);
    expect(() => readDirectives(script)).toThrow(/^Line 4 of the batch script: /);
    expect(() => readDirectives(script)).toThrow(words);
  });

  it('and only before the first line that is neither blank nor a comment, from the first column on', () => {
    const script = '#!/bin/sh\n #SBATCH -n1\n# note\n\n#SBATCH -n2\necho\n#SBATCH -n3\n';
    expect(readDirectives(script)).toEqual([{ name: 'ntasks', value: '2', line: 5 }]);
  });

  it('whatever a quoted value holds, it stays one value', () => {
    const text = fc.string().filter((value) => !/[\n"]/.test(value));
    fc.assert(
      fc.property(text, (value) => {
        expect(read(`--comment="${value}"`)).toEqual([['comment', value]]);
      }),
    );
  });

  it('whatever a script holds, reading it ends with options or with a line', () => {
    const piece = fc.oneof(
      fc.constantFrom('-n', '--', '--mem', '=', '"', "'", '\\', '#', ' ', '4', '-', '--exclusive', '-H'),
      fc.string({ maxLength: 5 }),
    );
    const line = fc.array(piece, { maxLength: 8 }).map((pieces) => `#SBATCH ${pieces.join('')}`);
    fc.assert(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        try {
          for (const { line: at } of readDirectives(`#!/bin/sh\n${lines.join('\n')}\n`)) expect(at).toBeGreaterThan(1);
        } catch (error) {
          expect(error).toBeInstanceOf(NotExpressible);
        }
      }),
    );
  });
});

const job = (more: Partial<JobDescription> = {}): JobDescription => ({
  ...{ name: null, account: null, reservation: null, partition: null, workingDirectory: '/home/alice' },
  ...{ standardInput: null, standardOutput: null, standardError: null, env: { A: '1' }, constraints: null },
  ...{ script: undefined, scriptPath: undefined, ...noResources, ...more },
});

function submission(version: string, script: string, more: Partial<JobDescription> = {}) {
  const dialect = findDialect(version);
  if (!dialect) return expect.unreachable(version);
  return buildSubmission({ job: job(more), script, key: 'goldcrest:1' }, dialect);
}

describe('a submission', () => {
  const script =
    '#!/bin/sh\n#SBATCH -n4 --mem=1G -t 1-0 --comment="my own" --no-requeue\n#SBATCH -w n[1-2],g1\nexit 0\n';

  it('of versions until 0.0.38 hands texts on for slurmrestd to read', () => {
    expect(submission('0.0.38', script, { name: 'a b', timeLimitSeconds: 90 })).toEqual({
      job: {
        ...{ name: 'a b', tasks: '4', memory_per_node: '1G', time_limit: '1:30', no_requeue: true },
        ...{ node_list: 'n[1-2],g1', current_working_directory: '/home/alice', standard_input: '/dev/null' },
        comment: 'my own goldcrest:1',
        environment: { SLURM_GET_USER_ENV: '1', SLURM_SUBMIT_DIR: '/home/alice', A: '1' },
      },
      script,
    });
  });

  it('of later versions gives each value its type', () => {
    const typed = {
      ...{ name: 'sbatch', tasks: 4, requeue: false, required_nodes: ['n[1-2]', 'g1'] },
      memory_per_node: { set: true, infinite: false, number: 1_024 },
      time_limit: { set: true, infinite: false, number: 1_440 },
      ...{ current_working_directory: '/home/alice', standard_input: '/dev/null', comment: 'my own goldcrest:1' },
      environment: ['SLURM_GET_USER_ENV=1', 'SLURM_SUBMIT_DIR=/home/alice', 'A=1'],
    };
    expect(submission('0.0.40', script)).toEqual({ job: typed, script });
    expect(submission('0.0.43', script)).toEqual({ job: { ...typed, script } });
  });

  it('tells GPUs, flags, signals and times of later versions', () => {
    const more =
      '#!/bin/sh\n#SBATCH --gres=lic:1 --signal=B:USR1@60 --spread-job --use-min-nodes --mail-type=ALL,TIME_LIMIT\n';
    const gpus = { gpusPerNode: 2, beginAt: 1_795_390_221, exclusive: true };
    expect(submission('0.0.42', more, gpus)).toMatchObject({
      job: {
        tres_per_node: 'gres/lic:1,gres/gpu:2',
        kill_warning_signal: 'USR1',
        kill_warning_delay: { number: 60 },
        kill_warning_flags: ['BATCH_JOB'],
        flags: ['SPREAD_JOB', 'USE_MIN_NODES'],
        mail_type: expect.arrayContaining(['BEGIN', 'TIME=100%']),
        begin_time: { set: true, number: 1_795_390_221 },
        exclusive: ['true'],
      },
    });
    expect(submission('0.0.39', more, gpus)).toMatchObject({ job: { begin_time: 1_795_390_221 } });
  });

  it.each([
    ['0.0.38', '--overcommit'],
    ['0.0.38', '--batch=cpu'],
    ['0.0.40', '--begin=16:00'],
    ['0.0.40', '--time=UNLIMITED'],
    ['0.0.40', '--mem=lots'],
    ['0.0.40', '--test-only'],
  ])('of version %s is refused where it cannot tell %s', (version, option) => {
    expect(() => submission(version, `#!/bin/sh\n#SBATCH ${option}\n`)).toThrow(
      `Line 2 of the batch script: the option`,
    );
    expect(() => submission(version, `#!/bin/sh\n#SBATCH ${option}\n`)).toThrow(option);
  });

  it('names what of a request cannot be told as not supported', () => {
    const dialect = findDialect('0.0.40');
    if (!dialect) return expect.unreachable();
    const { licenses, ...fields } = dialect.fields;
    expect(licenses).toBeDefined();
    const parts = { job: job({ licenses: 'a:1' }), script: '#!/bin/sh\n', key: 'k' };
    const build = () => buildSubmission(parts, { ...dialect, fields });
    expect(build).toThrow('The job: the option --licenses=a:1 cannot be told');
    expect(build).toThrow(expect.objectContaining({ code: 'NotSupported' }));
  });

  it('never hands over what brings slurmrestd 22.05 down', () => {
    const options = fc.array(fc.constantFrom('-n4', '--mem=1G', '-H', '--nice', '-x n1', '--gres=gpu:1'), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(options, (chosen) => {
        const body = JSON.stringify(submission('0.0.38', `#!/bin/sh\n#SBATCH ${chosen.join(' ')}\n`));
        expect(body).not.toMatch(/"(argv|batch_features|test_only)"/);
      }),
    );
  });
});

describe('values of options', () => {
  it.each([
    ['30', 30],
    ['30:01', 31],
    ['1:30:00', 90],
    ['2-0', 2_880],
    ['1-2:3', 1_563],
    ['1-2:3:4', 1_564],
    ['UNLIMITED', undefined],
    ['soon', undefined],
    ['', undefined],
  ])('the time %j is %j minutes', (text, expected) => {
    expect(minutes(text)).toBe(expected);
  });

  it.each([
    ['512', 512],
    ['1025K', 2],
    ['4g', 4_096],
    ['1TB', 1_048_576],
    ['much', undefined],
  ])('the memory %j is %j MiB', (text, expected) => {
    expect(memoryMib(text)).toBe(expected);
  });

  it('commas within brackets part no words', () => {
    expect(wordsOutsideBrackets('n[1,3-5],g1,,x[1,2]')).toEqual(['n[1,3-5]', 'g1', 'x[1,2]']);
  });
});
