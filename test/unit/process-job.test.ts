import { describe, expect, it } from 'vitest';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import { noResources } from '../../shared/operations/compute/job-resources.ts';
import { defaultProcessJobs } from '../../shared/platform/config/process-jobs.ts';
import { parseProcessJobs } from '../../workers/schedulers/process/process-job.ts';
import { limitOf, submitArguments } from '../../workers/schedulers/process/submit-process.ts';

const meta = JSON.stringify({ name: 'a\nb', workingDirectory: '/w', account: null, partition: 'local' });
const shown = (lines: string) => `now 1010\nhost vm\njob 7\n${lines}meta ${meta}\n`;

describe('the facts of a process job', () => {
  it.each([
    ['alive pending no\nsubmitted 1000\n', 'PENDING', null, null],
    ['alive yes no\nsubmitted 1000\n', 'PENDING', 'Resources', null],
    ['alive yes held\nsubmitted 1000\n', 'PENDING', 'JobHeldUser', null],
    ['alive yes no\nsubmitted 1000\nbegun 1001 77 4711\n', 'RUNNING', null, 9],
    ['alive yes begin\nsubmitted 1000\n', 'PENDING', 'BeginTime', null],
    ['alive no no\nsubmitted 1000\nbegun 1001 77 4711\nended 1005 0 COMPLETED\n', 'COMPLETED', null, 4],
    ['alive no no\nsubmitted 1000\nbegun 1001 77 4711\nended 1005 143 CANCELLED\n', 'CANCELLED', null, 4],
    ['alive no no\nsubmitted 1000\nended 1005 - CANCELLED\n', 'CANCELLED', null, null],
    ['alive no no\nsubmitted 1000\nbegun 1001 77 4711\n', 'NODE_FAIL', 'SupervisorLost', null],
    ['alive rebooted no\nsubmitted 1000\nbegun 1001 77 4711\n', 'NODE_FAIL', 'HostRebooted', null],
    ['alive canceled no\nsubmitted 1000\n', 'CANCELLED', null, null],
  ])('%j are %s', (lines, state, reason, elapsed) => {
    const [job] = parseProcessJobs(shown(lines), 'me');
    expect(job).toMatchObject({ jobId: '7', name: 'a\nb', status: { state, stateReason: reason }, time: { elapsed } });
  });

  it('tell a signal by the exit code of the shell', () => {
    const [job] = parseProcessJobs(shown('alive no no\nsubmitted 1\nended 5 137 FAILED\n'), 'me');
    expect(job?.status).toMatchObject({ exitCode: 137, interruptSignal: 9 });
  });

  it('are none where there is no job, and an error where they cannot be read', () => {
    expect(parseProcessJobs('now 1\nhost vm\n', 'me')).toEqual([]);
    expect(() => parseProcessJobs('job 7\nnow 1\n', 'me')).toThrow(
      expect.objectContaining({ code: 'SchedulerFailed' }),
    );
  });
});

describe('what a process job asks for', () => {
  const limits = { ...defaultProcessJobs, slots: 8, timeLimitSecondsMax: 100 };
  const job = { env: {}, workingDirectory: '/w', name: null, account: null, partition: null, standardInput: null };
  const wanted = { ...job, standardOutput: null, standardError: null, ...noResources };
  const cpus = (more: Partial<JobDescription>) =>
    JSON.parse(submitArguments({ ...wanted, ...more } as JobDescription, 'key', '', limits)[2] ?? '').cpus;

  it.each<[Partial<JobDescription>, number]>([
    [{}, 1],
    [{ cpusPerTask: 4 }, 4],
    [{ nodes: 1, tasks: 2, tasksPerNode: 2, cpusPerTask: 3 }, 6],
    [{ exclusive: true, cpusPerTask: 2 }, 8],
  ])('%j takes %i slots', (more, expected) => {
    expect(cpus(more)).toBe(expected);
  });

  it.each<[Partial<JobDescription>, string]>([
    [{ nodes: 2 }, 'nodes must be 1'],
    [{ tasks: 2, tasksPerNode: 4 }, 'tasksPerNode must be the same as tasks'],
    [{ timeLimitSeconds: 101 }, 'timeLimitSeconds must be at most 100'],
    [{ memoryPerNodeBytes: 1 }, 'memoryPerNodeBytes is not supported'],
    [{ gpus: 1 }, 'gpus is not supported'],
    [{ array: '1-2' }, 'array is not supported'],
  ])('%j is refused: %s', (more, words) => {
    expect(() => cpus(more)).toThrow(words);
  });

  it('is limited in time by the system where it names no limit', () => {
    expect([limitOf(null, limits), limitOf(5, limits), limitOf(null, defaultProcessJobs)]).toEqual([100, 5, null]);
  });
});
