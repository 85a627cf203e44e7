import { describe, expect, it } from 'vitest';
import {
  countEmptyLook,
  readSubmission,
  type SubmissionEntry,
} from '../../workers/operations/compute/submission-journal.ts';
import { parseProcessJob } from '../../workers/schedulers/process/process-job.ts';

const entry: SubmissionEntry = { phase: 'intended', key: 'k', attempt: 1, firstAt: 0, at: 1_000, emptyLookAt: null };

describe('an empty look', () => {
  it('counts only when the last command can no longer be at work', () => {
    expect(countEmptyLook(entry, 5_000, 10_000)).toEqual({ waitMs: 6_000, entry });
  });

  it('proves nothing alone, and the second one only a lag window later', () => {
    const first = countEmptyLook(entry, 11_000, 10_000);
    expect(first).toEqual({ waitMs: 5_000, entry: { ...entry, emptyLookAt: 11_000 } });
    expect(countEmptyLook(first.entry, 12_000, 10_000)).toEqual({ waitMs: 4_000, entry: first.entry });
    expect(countEmptyLook(first.entry, 16_000, 10_000)).toEqual({
      waitMs: 0,
      entry: { ...first.entry, phase: 'refused' },
    });
  });
});

describe('the journal', () => {
  it('is read strictly: an entry of another shape is no reason to submit again', () => {
    expect(readSubmission(null)).toBeNull();
    expect(readSubmission({ ...entry })).toEqual(entry);
    expect(() => readSubmission({ phase: 'other' })).toThrow();
  });
});

describe('the facts of a process job', () => {
  const facts = (lines: string) =>
    `now 1010\nhost node\n${lines}meta {"name":"a\\nb","workingDirectory":"/w","account":null,"partition":"local"}\n`;

  it.each([
    ['alive pending\nsubmitted 1000\n', 'PENDING', null],
    ['alive yes\nsubmitted 1000\nbegun 1001 77 4711\n', 'RUNNING', 9],
    ['alive no\nsubmitted 1000\nbegun 1001 77 4711\nended 1005 0 COMPLETED\n', 'COMPLETED', 4],
    ['alive no\nsubmitted 1000\nbegun 1001 77 4711\nended 1005 143 CANCELLED\n', 'CANCELLED', 4],
    ['alive no\nsubmitted 1000\nbegun 1001 77 4711\n', 'NODE_FAIL', null],
    ['alive canceled\nsubmitted 1000\n', 'CANCELLED', null],
  ])('%j are %s', (lines, state, elapsed) => {
    const job = parseProcessJob(facts(lines), '7', 'me');
    expect([job?.status.state, job?.time.elapsed, job?.name]).toEqual([state, elapsed, 'a\nb']);
  });

  it('tell a signal by the exit code of the shell', () => {
    const job = parseProcessJob(facts('alive no\nsubmitted 1\nended 5 137 FAILED\n'), '7', 'me');
    expect(job?.status).toMatchObject({ exitCode: 137, interruptSignal: 9 });
  });

  it('are unknown for an absent job and an error for anything else', () => {
    expect(parseProcessJob('absent\n', '7', 'me')).toBeUndefined();
    expect(() => parseProcessJob('now 1\n', '7', 'me')).toThrow(expect.objectContaining({ code: 'SchedulerFailed' }));
  });
});
