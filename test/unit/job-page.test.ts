import { describe, expect, it } from 'vitest';
import type { Job } from '../../shared/operations/compute/job.ts';
import { listJobs } from '../../shared/operations/compute/list-jobs.ts';
import { pageOfJobs } from '../../workers/operations/compute/job-page.ts';

const job = (jobId: string, submit: number): Job => ({ jobId, time: { submit } }) as Job;
/** Newest first, two of them in one second. */
const all = [job('5', 30), job('4', 20), job('3', 20), job('2_[1-3]', 10), job('1', 10)];
const ids = (jobs: readonly Job[]) => jobs.map(({ jobId }) => jobId);

describe('a page of jobs', () => {
  it.each([1, 2, 3, 4, 5, 6])('of %i leads through the whole list, each job once', (limit) => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = pageOfJobs(all, { limit, cursor });
      expect(page.jobs.length).toBeLessThanOrEqual(limit);
      seen.push(...ids(page.jobs));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(ids(all));
  });

  it('is the whole list, with nothing to follow, where no limit is given', () => {
    expect(pageOfJobs(all, { limit: null, cursor: null })).toEqual({ jobs: all, nextCursor: null });
    expect(pageOfJobs([], { limit: 3, cursor: null })).toEqual({ jobs: [], nextCursor: null });
  });

  it('goes on behind the one before though jobs came and went meanwhile', () => {
    const { nextCursor } = pageOfJobs(all, { limit: 2, cursor: null });
    const later = [job('6', 40), ...all];
    expect(ids(pageOfJobs(later, { limit: 2, cursor: nextCursor }).jobs)).toEqual(['3', '2_[1-3]']);
    const gone = later.filter(({ jobId }) => jobId !== '4');
    expect(ids(pageOfJobs(gone, { limit: 2, cursor: nextCursor }).jobs)).toEqual(['2_[1-3]', '1']);
    expect(pageOfJobs([], { limit: 2, cursor: nextCursor })).toEqual({ jobs: [], nextCursor: null });
  });

  it.each(['', 'x', '1', '.1', '-1.2', '1e9.3'])('refuses the cursor %j, which is none of ours', (cursor) => {
    expect(() => pageOfJobs(all, { limit: 1, cursor })).toThrow('`cursor` must be the Next-Cursor');
  });
});

describe('the question for jobs', () => {
  it('is upstream’s where nothing of ours is sent, as it was', () => {
    const none = { state: null, partition: null, user: null, since: null, until: null, limit: null, cursor: null };
    expect(listJobs.input.parse({})).toEqual({
      allusers: false,
      account: null,
      name: null,
      time_window: '24h',
      ...none,
    });
  });

  it('takes states in any case, separated by commas', () => {
    expect(listJobs.input.parse({ state: 'running, PENDING,' }).state).toEqual(['RUNNING', 'PENDING']);
  });

  it.each([
    ['state', 'a;b'],
    ['limit', '0'],
    ['limit', '10001'],
    ['since', 'yesterday'],
  ])('refuses the %s %j', (field, value) => {
    expect(listJobs.input.safeParse({ [field]: value }).error?.issues[0]?.path[0]).toBe(field);
  });
});
