/** How soon it is noticed what a client has done. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { clientWaitMs } from '../../workers/transfers/client-wait.ts';

it('a client that takes up to an hour is looked for at least each 2 s, with time left for the look, and any at least each 15 s', () => {
  const hourMs = 3_600_000;
  fc.assert(fc.property(fc.integer({ min: 0, max: hourMs }), (sinceMs) => clientWaitMs(sinceMs) <= 1_500));
  fc.assert(
    fc.property(fc.integer({ min: hourMs, max: 7 * 24 * hourMs }), (sinceMs) => {
      expect(clientWaitMs(sinceMs)).toBeGreaterThanOrEqual(1_500);
      expect(clientWaitMs(sinceMs)).toBeLessThanOrEqual(15_000);
    }),
  );
});
