/** When a probed service counts as broken and when it is asked again. */
import { describe, expect, it } from 'vitest';
import { advance, initialState, type TargetState } from '../../workers/health/target-state.ts';
import { down, up, type Verdict, withoutAccount } from '../../workers/health/verdict.ts';

const rules = { failuresUntilBroken: 2, recheckMs: 1_500, recoveryIntervalMs: 5_000, intervalMs: 120_000 };
const fails = down('connect ECONNREFUSED');
const hangs = down('no answer', true);
const isBlamedElsewhere: Verdict = { outcome: 'unknown', because: 'login', message: 'login node down' };

/** Probes one second apart, from a service that is not known. */
function stateAfter(verdicts: readonly Verdict[], from: TargetState = initialState(undefined, 0, rules)) {
  let state = from;
  const waits: number[] = [];
  verdicts.forEach((verdict, at) => {
    const next = advance(state, verdict, (at + 1) * 1_000, rules);
    state = next.state;
    waits.push(next.nextInMs);
  });
  return { ...state, waits };
}

describe('a service that was well', () => {
  it('is asked again soon after one failure, which does not count yet', () => {
    expect(stateAfter([up(), fails])).toMatchObject({ isHealthy: true, failures: 1, waits: [120_000, 1_500] });
  });

  it('is broken after the second failure in a row, since the first, and then asked every few seconds', () => {
    const state = stateAfter([up(), fails, fails, fails]);
    expect(state).toMatchObject({ isHealthy: false, since: 2_000, waits: [120_000, 1_500, 5_000, 5_000] });
  });

  it('is not broken by failures that are not in a row', () => {
    expect(stateAfter([up(), fails, up(), fails, up(), fails])).toMatchObject({ isHealthy: true, failures: 1 });
  });

  it('is broken at once where one failure is configured to be enough', () => {
    const { state } = advance(stateAfter([up()]), fails, 9_000, { ...rules, failuresUntilBroken: 1 });
    expect(state.isHealthy).toBe(false);
  });
});

describe('a broken service', () => {
  it('is well after one success, since then, and asked at the usual pace', () => {
    expect(stateAfter([fails, fails, up()])).toMatchObject({
      isHealthy: true,
      since: 3_000,
      waits: [1_500, 5_000, 120_000],
    });
  });

  it('is asked ever less often while probes hang on the host, but never less than a well one', () => {
    const { waits } = stateAfter(Array.from({ length: 8 }, () => hangs));
    expect(waits).toEqual([1_500, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000, 120_000]);
  });

  it('stays broken while the login node is down, and is asked every few seconds', () => {
    expect(stateAfter([fails, fails, isBlamedElsewhere])).toMatchObject({
      isHealthy: false,
      waits: [1_500, 5_000, 5_000],
    });
  });

  it('is not known to be broken any more when the probe cannot log in as itself', () => {
    expect(stateAfter([fails, fails, withoutAccount('no token')])).toMatchObject({ isHealthy: null, failures: 0 });
  });
});

describe('what cannot be asked', () => {
  it('is asked again at leisure where it is the account that is wrong', () => {
    expect(stateAfter([withoutAccount('no token')]).waits).toEqual([30_000]);
  });

  it('breaks nothing, however often', () => {
    const never = Array.from({ length: 10 }, () => withoutAccount('no token'));
    expect(stateAfter(never).isHealthy).toBeNull();
    expect(stateAfter([up(), ...never]).isHealthy).toBe(true);
    expect(stateAfter([up(), ...Array.from({ length: 10 }, () => isBlamedElsewhere)]).isHealthy).toBe(true);
  });
});

describe('a worker that takes over', () => {
  const known = {
    service: 'ssh' as const,
    path: null,
    ...{ isHealthy: false, since: 500, checkedAt: 100_000, latencyMs: 3, message: 'gone' },
  };

  it('takes a service as broken that was found so just now', () => {
    expect(initialState(known, 110_000, rules)).toMatchObject({ isHealthy: false, since: 500 });
  });

  it('asks once more about one that was found broken long ago, and takes one failure as enough', () => {
    const state = initialState(known, 200_000, rules);
    expect(state.isHealthy).toBe(true);
    expect(advance(state, fails, 201_000, rules).state).toMatchObject({ isHealthy: false, since: 500 });
  });
});
