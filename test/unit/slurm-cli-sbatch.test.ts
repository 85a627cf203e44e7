import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { jobDescription } from '../../shared/operations/compute/job.ts';
import { containsKey, lowestFirst } from '../../workers/schedulers/job-key.ts';
import { directiveComment } from '../../workers/schedulers/slurm-cli/directive-comment.ts';
import { buildSbatch, parseSbatch } from '../../workers/schedulers/slurm-cli/sbatch.ts';
import { explainSbatchFailure } from '../../workers/schedulers/slurm-cli/sbatch-refusal.ts';
import { doubtUnlessUnsent } from '../../workers/schedulers/submission-doubt.ts';

const job = (more: Record<string, unknown> = {}) =>
  jobDescription.parse({ workingDirectory: '/home/a', script: '#!/bin/sh\n', env: {}, ...more });

describe('the sbatch command', () => {
  it('passes each field as one argument and the script on standard input', () => {
    const { argv, stdin } = buildSbatch(
      job({ name: "it's | me", partition: 'debug', constraints: 'a&b' }),
      'mine goldcrest:1',
    );
    expect(argv).toEqual([
      ...['sbatch', '--parsable', '--export=ALL'],
      ...[
        "--job-name=it's | me",
        '--partition=debug',
        '--constraint=a&b',
        '--chdir=/home/a',
        '--comment=mine goldcrest:1',
      ],
    ]);
    expect(stdin).toBe('#!/bin/sh\n');
  });

  it('puts a script path behind --, and nothing on standard input', () => {
    const { argv, stdin } = buildSbatch(job({ script: undefined, scriptPath: '/home/a/-x' }), 'key');
    expect(argv.slice(-2)).toEqual(['--', '/home/a/-x']);
    expect(stdin).toBe('');
  });

  it('sets variables beside the command, so that commas and newlines do not cut them', () => {
    const { argv, env } = buildSbatch(job({ env: { A: 'x,y=z', B: 'one\ntwo' } }), 'key');
    expect(argv[0]).toBe('sbatch');
    expect(env).toEqual({ A: 'x,y=z', B: 'one\ntwo' });
  });

  it.each(['SBATCH_PARTITION', 'SLURM_CLUSTERS', 'PATH', 'LD_PRELOAD', 'TZ'])('keeps %s from sbatch itself', (name) => {
    const { argv, env } = buildSbatch(job({ env: { [name]: 'v', A: 'b' } }), 'key');
    expect(env).toEqual({});
    expect(argv.slice(0, 2)).toEqual(['sh', '-c']);
    expect(argv.slice(3, 9)).toEqual(['sh', '2', `${name}=v`, 'A=b', 'sbatch', '--parsable']);
    expect(argv).toContain('--export-file=3');
  });

  it('has the length of a long script checked before it is submitted', () => {
    const script = `#!/bin/sh\n${'x'.repeat(30_000)}\n`;
    const { argv, env } = buildSbatch(job({ script, env: { TMPDIR: '/nowhere' } }), 'key');
    expect(argv.slice(0, 2)).toEqual(['sh', '-c']);
    expect(argv.slice(4, 8)).toEqual([String(script.length), 'env', 'TMPDIR=/nowhere', 'sbatch']);
    expect(env).toEqual({});
  });
});

describe('the output of sbatch --parsable', () => {
  it.each([
    ['31\n', '31'],
    ['31;cap\n', '31'],
  ])('%j is id %s', (output, jobId) => {
    expect(parseSbatch(output)).toBe(jobId);
  });

  it.each(['', 'Submitted batch job 31\n', '31\n32\n', '31 extra\n', 'x31\n'])('%j leaves it in doubt', (output) => {
    expect(() => parseSbatch(output)).toThrow(expect.objectContaining({ code: 'SubmissionInDoubt' }));
  });
});

describe('a failed sbatch', () => {
  const failed = (text: string) => `sbatch: error: Batch job submission failed: ${text}\n`;
  // Slurm 22.05.8
  it.each([
    [
      1,
      `sbatch: error: invalid partition specified: nope\n${failed('Invalid partition name specified')}`,
      'InvalidJob',
    ],
    [1, failed('Invalid account or account/partition combination specified'), 'InvalidJob'],
    [1, failed('Requested reservation is invalid'), 'InvalidJob'],
    [1, failed('Invalid feature specification'), 'InvalidJob'],
    [1, failed('More processors requested than permitted'), 'InvalidJob'],
    [1, failed('Node count specification invalid'), 'InvalidJob'],
    [1, failed('Requested time limit is invalid (missing or exceeds some limit)'), 'InvalidJob'],
    [1, failed('Invalid qos specification'), 'InvalidJob'],
    [1, failed('Invalid job array specification'), 'InvalidJob'],
    [1, failed('Invalid node name specified'), 'InvalidJob'],
    [
      1,
      `sbatch: error: Memory specification can not be satisfied\n${failed('Requested node configuration is not available')}`,
      'InvalidJob',
    ],
    [255, `sbatch: unrecognized option '--foo'\nTry "sbatch --help" for more information\n`, 'InvalidJob'],
    [255, 'sbatch: error: Invalid --time specification\n', 'InvalidJob'],
    [1, 'sbatch: error: Unable to open file /nonexist/script\n', 'InvalidJob'],
    [1, 'sbatch: error: This does not look like a batch script.  The first\n', 'InvalidJob'],
    [1, 'sbatch: error: Batch script contains DOS line breaks (\\r\\n)\n', 'InvalidJob'],
    [1, `sbatch: error: your project has expired\n${failed('Unspecified error')}`, 'InvalidJob'],
    [
      1,
      `sbatch: error: AssocMaxSubmitJobLimit\n${failed("Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)")}`,
      'SubmitLimit',
    ],
    [
      1,
      `sbatch: error: QOSMaxSubmitJobPerUserLimit\n${failed('Job violates accounting/QOS policy (job submit limit)')}`,
      'SubmitLimit',
    ],
    [1, failed('Access/permission denied'), 'PermissionDenied'],
    [1, failed("User's group not permitted to use this partition"), 'PermissionDenied'],
    [127, '/usr/bin/env: ‘sbatch’: No such file or directory\n', 'SchedulerFailed'],
    [1, failed('Socket timed out on send/recv operation'), 'SubmissionInDoubt'],
    [1, failed('Unable to contact slurm controller (connect failure)'), 'SubmissionInDoubt'],
    [1, failed('Zero Bytes were transmitted or received'), 'SubmissionInDoubt'],
    [1, failed('Protocol authentication error'), 'SubmissionInDoubt'],
    [1, failed('Slurm backup controller in standby mode'), 'SubmissionInDoubt'],
    [1, failed('Some text that no version had so far'), 'SubmissionInDoubt'],
    [1, '', 'SubmissionInDoubt'],
    [137, '', 'SubmissionInDoubt'],
    [0, 'sbatch: error: Invalid something\nsbatch: error: timed out\n', 'SubmissionInDoubt'],
  ])('exit %s, %s', (exitCode, stderr, code) => {
    expect(explainSbatchFailure({ exitCode, stderr }).code).toBe(code);
  });

  it('that was killed is in doubt whatever it said', () => {
    const stderr = failed('Invalid qos specification');
    expect(explainSbatchFailure({ exitCode: null, signalName: 'KILL', stderr }).code).toBe('SubmissionInDoubt');
  });

  it("repeats the scheduler's words in upstream's form", () => {
    const { message } = explainSbatchFailure({ exitCode: 1, stderr: failed('Invalid qos specification') });
    expect(message).toBe(
      'Unexpected Slurm command response. exit_status:1 std_err:sbatch: error: Batch job submission failed: Invalid qos specification',
    );
  });
});

describe('a broken connection', () => {
  const outcome = (error: unknown): string => {
    try {
      return doubtUnlessUnsent(error);
    } catch (thrown) {
      return (thrown as BrokerError).code;
    }
  };

  it('is no doubt only where nothing was sent', () => {
    expect(outcome(new BrokerError('SshUnavailable', 'x', { detail: { sent: false } }))).toBe('SshUnavailable');
    expect(outcome(new BrokerError('SshUnavailable', 'x', { detail: { sent: true } }))).toBe('SubmissionInDoubt');
    expect(outcome(new BrokerError('SshUnavailable'))).toBe('SubmissionInDoubt');
    expect(outcome(new BrokerError('SshNoChannel'))).toBe('SshNoChannel');
    expect(outcome(new BrokerError('CommandTimeout'))).toBe('SubmissionInDoubt');
    expect(outcome(new BrokerError('TaskCanceled'))).toBe('SubmissionInDoubt');
    expect(outcome(new Error('anything'))).toBe('SubmissionInDoubt');
    expect(outcome(new BrokerError('InvalidRequest', 'The command line is too long.'))).toBe('InvalidJob');
  });
});

describe('the comment of a script', () => {
  // What sbatch 22.05.8 made of each.
  it.each([
    ['#!/bin/sh\n#SBATCH --comment=a\n', 'a'],
    ['#!/bin/sh\n#SBATCH --comment="a b" -J x # trail\n', 'a b'],
    ['#!/bin/sh\n#SBATCH --comment=a#b --time=1 #c\n', 'a'],
    [`#!/bin/sh\n#SBATCH --comment 'q"r s'\n`, 'q"r s'],
    ['#!/bin/sh\n# x\n\n   \n#SBATCH --comment=late\necho\n#SBATCH --comment=toolate\n', 'late'],
    ['#!/bin/sh\n  #SBATCH --comment=indented\n', undefined],
    ['#!/bin/sh\n#SBATCH --comm=abbr\n', 'abbr'],
    ['#!/bin/sh\n#SBATCH\t--comment=tab\n', 'tab'],
    ['#!/bin/sh\n#SBATCH --comment=one\n#SBATCH --comment=two\n', 'two'],
    ['#!/bin/sh\n#SBATCH --comment=a"b c"d\n', 'ab cd'],
    ['#!/bin/sh\n##SBATCH --comment=dbl\n', undefined],
    ['#!/bin/sh\n#SBATCH--comment=nospace\n', 'nospace'],
    ['#!/bin/sh\n#PBS -N x\n#SBATCH --comment=viapbs\n', 'viapbs'],
    ['#!/bin/sh\n#SBATCH --constraint=x --contiguous\n', undefined],
  ])('%j is %j', (script, comment) => {
    expect(directiveComment(script)).toBe(comment);
  });
});

describe('a key', () => {
  it('is found as a whole word only', () => {
    expect(containsKey("mine goldcrest:01-a 'x'", 'goldcrest:01-a')).toBe(true);
    expect(containsKey('sbatch --comment=goldcrest:01-a -D /', 'goldcrest:01-a')).toBe(true);
    expect(containsKey('goldcrest:01-ab', 'goldcrest:01-a')).toBe(false);
    expect(containsKey('goldcrest:01-a-b goldcrest:01-a', 'goldcrest:01-a')).toBe(true);
    expect(containsKey('xgoldcrest:01-a', 'goldcrest:01-a')).toBe(false);
  });

  it('orders ids as numbers', () => {
    expect(lowestFirst(new Set(['100', '9', '99']))).toEqual(['9', '99', '100']);
  });
});
