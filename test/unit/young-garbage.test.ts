import { setImmediate as endOfTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createYoungCollector } from '../../api/http/young-garbage.ts';

const mebibyte = 2 ** 20;

it('buffers of bodies that passed are given back for each 8 MiB of them', async () => {
  const passed = createYoungCollector();
  /** How many bytes of buffers there are more after 8 MiB of them than before. */
  const round = async (): Promise<number> => {
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 8; n += 1) passed(Buffer.alloc(mebibyte).length);
    await endOfTurn(); // behind the collection
    return process.memoryUsage().arrayBuffers - before;
  };
  // Three in a row: by itself V8 gives them back once in four. It does so late where it is still busy with what was loaded.
  const most = async (): Promise<number> => Math.max(await round(), await round(), await round());
  await expect.poll(most, { timeout: 4_000 }).toBeLessThan(2 * mebibyte);
});
