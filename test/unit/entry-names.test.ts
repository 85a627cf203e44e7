import { expect, it } from 'vitest';
import { entryName } from '../../shared/platform/queues.ts';

it('the next look at a parked task has another name than the entry that is still open', () => {
  const turn = { id: 't', fence: 3, via: 'park', isMutation: true } as const;
  expect(entryName({ ...turn, isTakeOver: true })).not.toBe(entryName(turn));
});
