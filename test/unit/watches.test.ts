/** Watches: what a look means, how soon the next one is, and what is said of an end. */
import { describe, expect, it } from 'vitest';
import type { Job } from '../../shared/operations/compute/job.ts';
import { parseWatch, type Watch } from '../../shared/watches/watch.ts';
import type { SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import { advise, type Findings } from '../../workers/watches/advise.ts';
import { createCommandBudget } from '../../workers/watches/command-budget.ts';
import { diagnose, type Evidence } from '../../workers/watches/diagnose.ts';
import { stepOfAbsence, stepOfLook, stepOfSighting } from '../../workers/watches/next-step.ts';
import { intervalOf, systemIntervalMs } from '../../workers/watches/pace.ts';
import { lastLines } from '../../workers/watches/read-error-output.ts';

const consent = {
  issuer: 'i',
  subject: 's',
  client: null,
  username: 'u',
  actions: [],
  givenAt: 0,
  until: 1,
  taskId: 't',
};
const fresh = parseWatch({
  ...{ id: 'watch_1', owner: 'o', system: 'lab', jobId: '7', phase: 'watching', createdAt: '0', changedAt: '0' },
  ...{ consent: JSON.stringify(consent), revision: '1', sequence: '0' },
});
const part = (state: string, more: Partial<Job['status']> = {}, time: Partial<Job['time']> = {}): Job =>
  ({
    status: { state, stateReason: null, exitCode: null, interruptSignal: null, ...more },
    time: { submit: 5, start: null, end: null, limit: null, elapsed: null, suspended: null, ...time },
  }) as Job;
const seenAs = (watch: Watch, jobs: Job[]): Watch => ({ ...watch, ...stepOfSighting(watch, jobs, 1_000)?.changes });

describe('a look at a job', () => {
  it('is told only where the state is another, its end once', () => {
    const first = stepOfSighting(fresh, [part('PENDING')], 1_000);
    expect(first?.events).toEqual([
      { type: 'job.state_changed', facts: { state: 'PENDING', previousState: null, stateReason: null } },
    ]);
    const waiting = seenAs(fresh, [part('PENDING')]);
    expect(stepOfSighting(waiting, [part('PENDING')], 2_000)).toBeNull();
    const stuck = stepOfSighting(waiting, [part('PENDING', { stateReason: 'DependencyNeverSatisfied' })], 2_000);
    expect(stuck?.events.map(({ type }) => type)).toEqual(['job.state_changed']);
    const ended = stepOfSighting(waiting, [part('FAILED', { exitCode: 3 })], 2_000);
    expect(ended?.events.map(({ type }) => type)).toEqual(['job.state_changed', 'job.ended']);
    expect(ended?.changes.phase).toBe('ended');
  });

  it('takes an array for running while a part runs, and for failed when one failed and none is left', () => {
    expect(seenAs(fresh, [part('COMPLETED'), part('RUNNING'), part('PENDING')]).standing?.state).toBe('RUNNING');
    expect(seenAs(fresh, [part('COMPLETED'), part('TIMEOUT'), part('COMPLETED')]).standing?.state).toBe('TIMEOUT');
  });

  it('does not take an older job of the same id for the one that is watched', () => {
    const running = seenAs(fresh, [part('RUNNING', {}, { submit: 500 })]);
    expect(stepOfSighting(running, [part('COMPLETED', {}, { submit: 5 })], 2_000)).toBeNull();
  });

  it('that is missing is unknown, tells nothing, and comes back without a second end', () => {
    const missing = { ...fresh, ...stepOfAbsence(9_000).changes };
    expect([missing.phase, stepOfAbsence(9_000).events]).toEqual(['unknown', []]);
    const running = seenAs(fresh, [part('RUNNING')]);
    const back = stepOfSighting({ ...running, phase: 'unknown' }, [part('RUNNING')], 9_000);
    expect(back).toEqual({ events: [], changes: expect.objectContaining({ phase: 'watching', missingSince: 0 }) });
  });
});

describe('a job that is missing', () => {
  const look = (at: number, isProof = true) => ({ at, answer: isProof ? 'none' : 'no answer', isProof });
  const run = (looks: ReturnType<typeof look>[]) => {
    let watch: Watch = { ...fresh, phase: 'unknown' };
    for (const one of looks) watch = { ...watch, ...stepOfLook(watch, one, 100, 1).changes };
    return watch.phase;
  };

  it('is lost when nothing but proofs came for as long as it takes', () => {
    expect(run([look(0), look(50), look(99)])).toBe('unknown');
    expect(run([look(0), look(50), look(100)])).toBe('lost');
    expect(run([look(1_000)])).toBe('unknown');
  });

  it('is not lost across a look that failed, however many looks lie between', () => {
    expect(run([look(0), look(50, false), look(100)])).toBe('unknown');
    const many = Array.from({ length: 40 }, (_, at) => look(60 + at));
    expect(run([look(0), look(50, false), ...many])).toBe('unknown');
    expect(run([look(0), look(50, false), ...many, look(160)])).toBe('lost');
  });
});

describe('the pace', () => {
  const limits = { intervalMsMin: 2_000, intervalMsMax: 30_000 };
  const running = (startedAt: number, limitSeconds: number | null, changedAt: number): Watch => ({
    ...fresh,
    changedAt,
    standing: {
      ...{ state: 'RUNNING', stateReason: null, exitCode: null, signal: null, submittedAt: 0 },
      ...{ startedAt, endedAt: null, limitSeconds },
    },
  });

  it('is fast for what is young or near its limit, and slow for what has lasted', () => {
    const now = 10_000_000;
    expect(intervalOf(running(9_999, null, now - 1_000), now, limits)).toBe(2_000);
    expect(intervalOf(running(0, null, 0), now, limits)).toBe(30_000);
    expect(intervalOf(running(9_000, 1_030, 0), now, limits)).toBe(2_000);
  });

  it('of a system is that of its most urgent job, but looks do not take all the time', () => {
    const watches = [running(0, null, 0), fresh];
    expect(systemIntervalMs(watches, 10, 10_000_000, limits)).toBe(2_000);
    expect(systemIntervalMs(watches, 3_000, 10_000_000, limits)).toBe(9_000);
  });

  it('keeps to the commands of any minute', () => {
    let now = 0;
    const budget = createCommandBudget(10, () => now);
    budget.spend(4);
    now = 30_000;
    budget.spend(5);
    expect([budget.waitMs(1), budget.waitMs(3)]).toEqual([0, 30_000]);
    now = 60_001;
    expect(budget.waitMs(5)).toBe(0);
    const host = budget.counted({} as SchedulerHost);
    const before = budget.spent();
    host.asked?.(); // by HTTP
    expect(budget.spent()).toBe(before + 1);
  });
});

describe('the advice', () => {
  const found: Findings = {
    ...{ jobId: '7', state: 'FAILED', stateReason: null, exitCode: 1, signal: null, canceledBy: null, isFinal: true },
    memory: { usedBytes: 2 ** 20, requestedBytes: 100 * 2 ** 20, note: null },
    time: { usedSeconds: 60, limitSeconds: 600 },
    errorOutput: { path: null, lines: [], isCut: false, note: null },
  };

  it.each<[Partial<Findings>, RegExp]>([
    [{ state: 'COMPLETED', exitCode: 0 }, /ended well/],
    [{ state: 'OUT_OF_MEMORY' }, /more memory than the 100 MiB it had .*1 MiB/],
    [{ state: 'TIMEOUT' }, /time limit of 10 minutes/],
    [{ state: 'NODE_FAIL' }, /submit it again/],
    [{ state: 'CANCELLED', canceledBy: 'bob', exitCode: 0 }, /canceled by bob\.$/],
    [{ state: 'CANCELLED', time: { usedSeconds: 0, limitSeconds: null } }, /before it started/],
    [{ state: 'PENDING', stateReason: 'DependencyNeverSatisfied', exitCode: null }, /never starts/],
    [{ exitCode: 127 }, /not found/],
    [{ exitCode: 126 }, /chmod/],
    [{ signal: 9 }, /killed \(signal 9\)/],
    [{ exitCode: 139 }, /not its own \(signal 11\)/],
    [{ signal: 15 }, /asked to end/],
    [{ exitCode: 42 }, /exit code 42/],
    [{ state: 'SOMETHING_NEW', exitCode: null }, /SOMETHING_NEW/],
  ])('of %o is plain', (over, words) => {
    expect(advise({ ...found, ...over })).toMatch(words);
  });
});

describe('the memory in a diagnosis', () => {
  const told = (usage: Evidence['usage']) => {
    const errorOutput = { path: null, lines: [], isCut: false, note: null };
    return diagnose({ jobId: '7', jobs: [part('FAILED', { exitCode: 1 })], usage, errorOutput }).memory;
  };
  const measured = { isFinal: true, memoryUsedBytes: 5, memoryRequestedBytes: 9 };

  it.each<[Evidence['usage'], number | null, unknown]>([
    [measured, 5, null],
    [{ ...measured, memoryUsedBytes: null }, null, expect.stringMatching(/holds no measurement/)],
    [{ ...measured, isFinal: false, memoryUsedBytes: null }, null, expect.stringMatching(/not measured it yet/)],
    [undefined, null, expect.stringMatching(/not measured it yet/)],
    [null, null, expect.stringMatching(/no accounting/)],
  ])('of %o is a figure, or null with the reason', (usage, usedBytes, note) => {
    expect(told(usage)).toEqual({ usedBytes, requestedBytes: usage?.memoryRequestedBytes ?? null, note });
  });
});

describe('the last lines of a file', () => {
  it('begin with a whole character and hold no control characters', () => {
    const bytes = Buffer.from('é one\u001b[31m\ntwo\n').subarray(1);
    expect(lastLines(bytes, true)).toEqual({ lines: [' one[31m', 'two'], isCut: true });
  });

  it('are the last twenty', () => {
    const { lines, isCut } = lastLines(Buffer.from(Array.from({ length: 25 }, (_, at) => `${at}\n`).join('')), false);
    expect([lines[0], lines.length, isCut]).toEqual(['5', 20, true]);
    expect(lastLines(Buffer.from(''), false)).toEqual({ lines: [], isCut: false });
  });
});
