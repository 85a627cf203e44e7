/** The rate limit of a user in the real store: one bucket over all API processes, empty means 429 with the time to wait. */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { RateState } from '../../shared/platform/user-rate.ts';
import { alice, bob, openTasks, type TaskFixture } from './task-fixture.ts';

const limit = { perSecond: 1, burst: 20 };
let first: TaskFixture;
let second: TaskFixture;
beforeEach(async () => {
  const { url } = inject('lab').redis;
  first = await openTasks(url, { ratePerUser: limit });
  second = await openTasks(url, { ratePerUser: limit, keyPrefix: first.keyPrefix });
});
afterEach(() => Promise.all([first.close(), second.close()]));

function submit(tasks: TaskFixture, principal = alice, key?: string) {
  const rates: RateState[] = [];
  const accepted = tasks.gate.accept({
    ...({ operation: 'filesystem.stat', system: 'lab', input: { path: '/' } } as const),
    ...{ principal, isHeld: false, holdMs: 0, requestId: 'r', onRate: (rate: RateState) => void rates.push(rate) },
    ...(key === undefined ? {} : { idempotencyKey: key, fingerprint: 'f' }),
  });
  return { accepted, rates };
}

describe('the rate limit of a user', () => {
  it('is one for two API processes, and nobody else’s', async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 60 }, (_, n) => submit(n % 2 === 0 ? first : second).accepted),
    );
    const taken = answers.filter(({ status }) => status === 'fulfilled').length;
    // A slow machine gives back one a second meanwhile.
    expect(taken).toBeGreaterThanOrEqual(limit.burst);
    expect(taken).toBeLessThan(limit.burst + 20);
    const refused = answers.find((answer) => answer.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code: 'RateLimited', retryAfterSeconds: 1 });
    await submit(second, bob).accepted;
  });

  it('tells what is left, also when that is nothing, and a look takes nothing', async () => {
    expect(await first.gate.rateOf(alice)).toEqual({ limit, remaining: 20, resetSeconds: 0 });
    const one = submit(first);
    await one.accepted;
    expect(one.rates).toEqual([{ limit, remaining: 19, resetSeconds: 1 }]);
    expect((await second.gate.rateOf(alice))?.remaining).toBeGreaterThanOrEqual(19);
    // Together, so that the one that a second gives back goes to none that is looked at.
    const many = Array.from({ length: 60 }, () => submit(first));
    const answers = await Promise.allSettled(many.map(({ accepted }) => accepted));
    const refused = many.filter((_, n) => answers[n]?.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.map(({ rates }) => rates[0]?.remaining)).toEqual(refused.map(() => 0));
    for (const answer of answers)
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'RateLimited' });
  });

  it('is not spent by a repeat with the same key', async () => {
    await submit(first, alice, 'k').accepted;
    await Promise.allSettled(Array.from({ length: 30 }, () => submit(first).accepted));
    expect(await submit(second, alice, 'k').accepted).toMatchObject({ isReplay: true });
  });
});
