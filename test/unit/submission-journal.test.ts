import { describe, expect, it } from 'vitest';
import {
  countEmptyLook,
  readSubmission,
  type SubmissionEntry,
} from '../../workers/operations/compute/submission-journal.ts';

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
