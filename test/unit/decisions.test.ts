/** What is remembered of permissions: for a time, for a number of them, and never a failure. */
import { describe, expect, it } from 'vitest';
import { createDecisions } from '../../shared/authorization/decisions.ts';

function decisions(entriesMax: number) {
  const clock = { now: 0 };
  const asked: string[] = [];
  const known = createDecisions<boolean>({
    entriesMax,
    lifeMsOf: (answer) => (answer ? 10_000 : 1_000),
    now: () => clock.now,
  });
  const decide = (key: string, answer = true) =>
    known.decide(key, async () => {
      asked.push(key);
      return answer;
    });
  return { clock, asked, known, decide };
}

describe('decisions', () => {
  it('are remembered up to a number; the one not used for longest goes first', async () => {
    const { known, asked, decide } = decisions(3);
    for (const key of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) await decide(key);
    expect(asked).toEqual(['a', 'b', 'c', 'd', 'b']);
    for (let n = 0; n < 1_000; n += 1) await decide(`more ${n}`);
    expect(known.size).toBe(3);
  });

  it('are asked for again when their time is over, a refusal sooner than a permission', async () => {
    const { clock, asked, decide } = decisions(10);
    await Promise.all([decide('yes'), decide('yes'), decide('no', false)]);
    clock.now = 1_000;
    await Promise.all([decide('yes'), decide('no', false)]);
    clock.now = 10_000;
    await decide('yes');
    expect(asked).toEqual(['yes', 'no', 'no', 'yes']);
  });

  it('are not made of failures', async () => {
    const { known, asked, decide } = decisions(10);
    await expect(known.decide('a', () => Promise.reject(new Error('no answer')))).rejects.toThrow('no answer');
    expect(await decide('a')).toBe(true);
    expect(asked).toEqual(['a']);
  });
});
